// The numbers that a setting may have, and how a message describes them.
#pragma once

#include <limits>
#include <string>

#include "neural_attention/core/number_text.hpp"

namespace neural_attention {

/// Real numbers between two bounds; without bounds, all finite numbers.
struct Interval {
  static constexpr double largest = std::numeric_limits<double>::max();

  double least = -largest, most = largest;
  bool with_least = true, with_most = true;

  constexpr bool contains(double value) const { return !below(value) && !above(value) && value == value; }

  /// "from 0 to 1", "above 0 and at most 1", "at least 0", "finite"
  std::string words() const {
    const bool from = least > -largest, to = most < largest;
    if (from && to && with_least && with_most) return "from " + number_text(least) + " to " + number_text(most);
    std::string text = from ? (with_least ? "at least " : "above ") + number_text(least) : "";
    if (to) text += (from ? " and " : "") + std::string(with_most ? "at most " : "below ") + number_text(most);
    return text.empty() ? "finite" : text;
  }

  /// The same, but only the bound that `value` violates, if it violates one.
  std::string words_against(double value) const {
    if (above(value)) return Interval{.most = most, .with_most = with_most}.words();
    if (below(value)) return Interval{.least = least, .with_least = with_least}.words();
    return words();
  }

 private:
  constexpr bool below(double value) const { return with_least ? value < least : value <= least; }
  constexpr bool above(double value) const { return with_most ? value > most : value >= most; }
};

constexpr Interval at_least(double least) { return {.least = least}; }
constexpr Interval above(double least) { return {.least = least, .with_least = false}; }
constexpr Interval above_up_to(double least, double most) {
  return {.least = least, .most = most, .with_least = false};
}
constexpr Interval from_to(double least, double most) { return {.least = least, .most = most}; }
constexpr Interval from_below(double least, double most) { return {.least = least, .most = most, .with_most = false}; }

}  // namespace neural_attention
