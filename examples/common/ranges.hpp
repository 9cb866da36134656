// The ranges of flags. Every flag with a number declares a range. For any other value, including nan and inf, the
// program ends with an error that names the flag and its range before it does anything else; so it does for a switch
// that is neither true nor false. Numbers are decimal in every locale.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "neural_attention/core/interval.hpp"
#include "neural_attention/core/number_text.hpp"

namespace examples {

/// The number in `text`, if the whole text is a number.
template <class T>
std::optional<T> number_in(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  if constexpr (std::is_same_v<T, double>) {
    return neural_attention::number_in(text);
  } else {
    T value{};
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return value;
  }
}

using neural_attention::above;
using neural_attention::above_up_to;
using neural_attention::at_least;
using neural_attention::from_below;
using neural_attention::from_to;
using neural_attention::Interval;

namespace ranges_detail {

/// Accepts numbers for which `contains` is true, and writes them in a canonical form for the next reader. `kind` is the
/// expected value in messages, `range` the same in --help.
template <class T, class Contains>
CLI::Validator validator(const std::string& kind, const std::string& range, Contains contains) {
  return {[=](std::string& text) {
            const auto value = number_in<T>(text);
            if (!value || !contains(*value)) return "must be " + kind + ", not '" + text + "'";
            if constexpr (std::is_same_v<T, double>)
              text = neural_attention::number_text(*value);
            else
              text = std::to_string(*value);
            return std::string();
          },
          "(" + range + ")"};
}

}  // namespace ranges_detail

/// The integers from `least` to `most`, for ->transform().
inline CLI::Validator integer(std::int64_t least, std::int64_t most = std::numeric_limits<int>::max()) {
  const auto range = std::to_string(least) + " to " + std::to_string(most);
  const bool bounded = most < std::numeric_limits<int>::max();
  return ranges_detail::validator<std::int64_t>(
      "an integer from " + range, bounded ? range : "at least " + std::to_string(least),
      [least, most](std::int64_t value) { return value >= least && value <= most; });
}

/// The real numbers of an interval, for ->transform().
inline CLI::Validator number(const Interval& interval) {
  const auto words = interval.words();
  return ranges_detail::validator<double>(words == "finite" ? "a finite number" : "a number " + words, words,
                                          [interval](double value) { return interval.contains(value); });
}

/// A seed of random numbers, for ->transform().
inline CLI::Validator seed_number() {
  return ranges_detail::validator<std::uint64_t>(
      "an integer from 0 to " + std::to_string(std::numeric_limits<std::uint64_t>::max()), "at least 0",
      [](std::uint64_t) { return true; });
}

/// A switch, for ->check().
inline CLI::Validator truth() {
  return {[](std::string& text) -> std::string {
            // The words that CLI11 takes for a flag.
            static constexpr std::array<std::string_view, 16> words = {
                "true", "false", "on", "off", "yes", "no", "enable", "disable", "t", "f", "y", "n", "1", "0", "+", "-"};
            if (std::ranges::find(words, CLI::detail::to_lower(text)) != words.end()) return {};
            return "must be true or false, not '" + text + "'";
          },
          ""};
}

/// More threads than any machine has. Each thread takes memory before it does anything.
inline constexpr int most_threads = 1024;

}  // namespace examples
