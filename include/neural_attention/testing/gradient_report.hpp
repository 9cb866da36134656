// The results of a gradient check, tensor by tensor, and the numeric derivative behind them: the central difference
// D(h) = (L(v+h) - L(v-h)) / 2h, extrapolated to R = (4 D(h/2) - D(h)) / 3, whose error is O(h⁴) where L is smooth.
// Near a kink (ReLU), D(h) and D(h/2) disagree; then h shrinks.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/number_text.hpp"

namespace neural_attention::testing {

/// One tensor's gradient: numeric against analytic.
struct TensorGradient {
  std::string name;
  double numeric_norm = 0.0;
  double analytic_norm = 0.0;
  double difference_norm = 0.0;
  double noise = 0.0;  ///< bound on the rounding error of the numeric gradient's norm
  double error = 0.0;  ///< difference / (numeric + analytic + noise / tolerance)
  bool zero_expected = false;
  bool ok = false;
};

struct GradientReport {
  std::vector<TensorGradient> tensors;
  std::vector<std::string> violations;  ///< broken rules other than wrong numbers

  bool ok() const {
    return !tensors.empty() && violations.empty() &&
           std::all_of(tensors.begin(), tensors.end(), [](const TensorGradient& tensor) { return tensor.ok; });
  }

  /// A table for people, one line for each tensor, with failed tensors marked.
  std::string text() const {
    std::string result = tensors.empty() ? "no tensor was checked\n" : "";
    for (const auto& violation : violations) result += "RULE BROKEN: " + violation + "\n";
    for (const auto& tensor : tensors) {
      result += std::string(tensor.ok ? "ok    " : "FAILED") + " error " + column(tensor.error, 2) + "  numeric " +
                column(tensor.numeric_norm, 4) + "  analytic " + column(tensor.analytic_norm, 4) + "  difference " +
                column(tensor.difference_norm, 2) + (tensor.zero_expected ? "  (zero expected)" : "") + "  " +
                tensor.name + "\n";
    }
    return result;
  }

 private:
  static std::string column(double value, int digits) {
    auto text = number_text(value, std::chars_format::scientific, digits);
    const auto width = static_cast<std::size_t>(digits) + 7;
    return text.size() < width ? text.insert(0, width - text.size(), ' ') : text;
  }
};

/// The derivative of loss(v) at `v` and a bound on its rounding error. `magnitude` is the size of the terms that the
/// loss sums; each evaluation is off by a few of their last bits.
struct NumericDerivative {
  double value = 0.0;
  double noise = 0.0;
};

template <class Loss>
NumericDerivative differentiate(Loss&& loss, double v, double scale, double magnitude) {
  constexpr double first = 1e-3, shrink = 1.0 / 16, good_enough = 1e-6, roundings = 16;
  constexpr int levels = 4;
  NumericDerivative best;
  double least = std::numeric_limits<double>::infinity();
  double h = first * scale;
  for (int level = 0; level < levels; ++level, h *= shrink) {
    const auto difference = [&](double by) {
      const double above = v + by, below = v - by;  // the actual step, after rounding
      return (loss(above) - loss(below)) / (above - below);
    };
    const double wide = difference(h), narrow = difference(h / 2);
    const double value = (4 * narrow - wide) / 3;
    const double noise = roundings * std::numeric_limits<double>::epsilon() * magnitude / h;
    const double estimate = std::abs(narrow - wide);
    if (estimate + noise < least || !std::isfinite(estimate)) {
      best = {value, noise};
      least = estimate + noise;
    }
    if (estimate <= good_enough * std::abs(value) || estimate <= noise) break;
  }
  return best;
}

/// Judges one tensor. If the exact gradient is zero, both sides must vanish within the noise.
inline TensorGradient judge(std::string name, std::span<const double> numeric, std::span<const double> analytic,
                            double noise, double tolerance, bool zero_expected) {
  TensorGradient result;
  result.name = std::move(name);
  result.noise = noise;
  result.zero_expected = zero_expected;
  for (std::size_t i = 0; i < numeric.size(); ++i) {
    result.numeric_norm += numeric[i] * numeric[i];
    result.analytic_norm += analytic[i] * analytic[i];
    result.difference_norm += (numeric[i] - analytic[i]) * (numeric[i] - analytic[i]);
  }
  for (auto* norm : {&result.numeric_norm, &result.analytic_norm, &result.difference_norm}) *norm = std::sqrt(*norm);
  const double floor = noise / tolerance;
  result.error = result.difference_norm / (result.numeric_norm + result.analytic_norm + floor);
  const bool filled = !numeric.empty() && numeric.size() == analytic.size();
  if (zero_expected)
    result.ok = filled && result.analytic_norm <= noise && result.numeric_norm <= noise;
  else
    result.ok = filled && result.error <= tolerance && result.analytic_norm > noise && result.numeric_norm > noise;
  return result;
}

}  // namespace neural_attention::testing
