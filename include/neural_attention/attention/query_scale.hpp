// QueryScale: learned factors on the scores of an attention, y = x · s for queries x [n, heads · d_head], where s has
// one factor for all heads or one for each.
#pragma once

#include "neural_attention/core/pass.hpp"

namespace neural_attention {

template <class B>
class QueryScale {
 public:
  struct Saved {
    Rows<B> x;
  };

  /// Without factors it leaves everything as it is.
  QueryScale(int factors, double first) : factors_(factors, Initial::constant(first)) {}

  static void visit(auto& self, auto&& visitor) {
    if (self.learns()) visitor("", self.factors_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    if (!learns()) return x;
    saved.x = x;
    const auto y = pass.saved.rows(x.rows, x.cols);
    pass.backend(ops::ScaleGroups<B>{.x = x, .f = factors_.value, .y = y});
    return y;
  }

  /// `gradient` is dy, and becomes dx.
  void backward(const Pass<B>& pass, Rows<B> gradient, const Saved& saved) {
    if (!learns()) return;
    const ArenaScope scope(pass.scratch);
    const auto of_rows = pass.scratch.rows(gradient.rows, factors_.cols);
    pass.backend(
        ops::ScaleGroupsBackward<B>{.dy = gradient, .x = saved.x, .f = factors_.value, .dx = gradient, .df = of_rows});
    pass.backend(ops::BiasGradient<B>{.dy = of_rows, .db = factors_.gradient});
  }

 private:
  bool learns() const { return factors_.cols > 0; }

  Parameter<B> factors_;  ///< [1] or [heads], or none
};

}  // namespace neural_attention
