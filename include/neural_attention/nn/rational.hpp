// Rational: y = P(x) / Q(x), x and y [n, d]: a learned activation in the safe Padé form, with a numerator of degree 5
// for all columns and a denominator of degree 4 for each of 8 groups of columns (arXiv 2409.10594). It begins near
// SiLU.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "neural_attention/core/pass.hpp"
#include "neural_attention/core/projector_config.hpp"

namespace neural_attention {

template <class B>
class Rational {
 public:
  struct Saved {
    Rows<B> x;
  };

  explicit Rational(const ProjectorConfig& config) : Rational(config.d_in) {}
  /// Columns are cut into `groups`, or one for each if there are fewer.
  explicit Rational(int width, int groups = 8)
      : numerator(1, static_cast<int>(near_silu_above.size()), Initial::rows_of(near_silu_above)),
        denominator(std::min(groups, width), static_cast<int>(near_silu_below.size()),
                    Initial::rows_of(near_silu_below)) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("weight_numerator", self.numerator);
    visitor("weight_denominator", self.denominator);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    saved.x = x;
    const auto y = pass.saved.rows(x.rows, x.cols);
    pass.backend(ops::Rational<B>{.x = x, .numerator = numerator.value, .denominator = denominator.value, .y = y});
    return y;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const GradientTarget<B> target(pass, dx, dy.rows, dy.cols);
    pass.backend(ops::RationalBackward<B>{.dy = dy,
                                          .x = saved.x,
                                          .numerator = numerator.value,
                                          .denominator = denominator.value,
                                          .into = target.into,
                                          .dx = target.rows,
                                          .dnumerator = numerator.gradient,
                                          .ddenominator = denominator.gradient});
    return target.rows;
  }

  /// Calls use(tensor, values) with the values that each tensor begins with: for who sets a model's values himself.
  void for_each_first_value(auto&& use) {
    for (auto* const tensor : {&numerator, &denominator}) {
      std::vector<double> values;
      for (int r = 0; r < tensor->rows; ++r)
        values.insert(values.end(), tensor->initial.each_row.begin(), tensor->initial.each_row.end());
      use(*tensor, values);
    }
  }

  Parameter<B> numerator;    ///< a_0 … a_5
  Parameter<B> denominator;  ///< b_1 … b_4 of each group

 private:
  /// The least squares fit to SiLU on [-3, 3] among those with f(x) - f(-x) = x, which SiLU has; off by 1.2e-6 at most
  /// there.
  static constexpr double second = 0.106530261733, fourth = 0.000550267760131;
  static constexpr std::array near_silu_above = {3.262760017e-07,  0.5,         0.249997360717, 0.5 * second,
                                                 0.00580254443248, 0.5 * fourth};
  static constexpr std::array near_silu_below = {0.0, second, 0.0, fourth};
};

}  // namespace neural_attention
