// HiddenWidth: how wide a projector is inside, as its config says it.
#pragma once

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// In units of the input's width (a bottleneck below 1), in columns, or matched: as near as an integer allows to the
/// width at which the projector's matrices have as many elements as a linear map's. Usual: what its type usually has.
class HiddenWidth {
 public:
  enum class Kind { Usual, Times, Columns, Matched };

  constexpr HiddenWidth() = default;
  static constexpr HiddenWidth times(double factor) { return {Kind::Times, factor}; }
  static constexpr HiddenWidth columns(int count) { return {Kind::Columns, static_cast<double>(count)}; }
  static constexpr HiddenWidth matched() { return {Kind::Matched, 0.0}; }

  constexpr Kind kind() const { return kind_; }
  /// The factor or the number of columns.
  constexpr double number() const { return number_; }

  constexpr bool operator==(const HiddenWidth&) const = default;

 private:
  constexpr HiddenWidth(Kind kind, double number) : kind_(kind), number_(number) {}

  Kind kind_ = Kind::Usual;
  double number_ = 0.0;
};

}  // namespace neural_attention
