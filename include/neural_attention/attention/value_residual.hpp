// ValueResidual: values of a stack's first layer in those of later layers (Zhou et al. 2024, arXiv 2410.17897,
// ResFormer). Self-attention of a layer l > 1 attends to v' = λ_own v_l + λ_first v_1 [n, d_v], where v_l are the
// values that it projects itself, and v_1 the first layer's, for the same tokens. Decoding caches v'.
#pragma once

#include <cassert>

#include "neural_attention/attention/attention_options.hpp"
#include "neural_attention/core/pass.hpp"

namespace neural_attention {

/// Data that the layers of a stack share in a pass: the values of the first layer [n, d_v], which it writes, and in
/// backward the sum of the gradients that later layers have for them. Empty if no layer takes them.
template <class B>
struct FirstValues {
  Rows<B> values;
  Rows<B> gradient;

  explicit operator bool() const { return static_cast<bool>(values); }
};

/// y = λ x, where λ is a number, or a parameter [1] that begins as that number.
template <class B>
class Factor {
 public:
  Factor(bool learned, double number) : learned_(learned), parameter_(1, Initial::constant(number)) {}

  static void visit(auto& self, auto&& visitor) {
    if (self.learned_) visitor("", self.parameter_);
  }

  /// y may be x.
  void forward(const Pass<B>& pass, Rows<B> x, Rows<B> y) const {
    const ArenaScope scope(pass.scratch);
    auto factor = parameter_.value;
    if (!learned_) {
      factor = pass.scratch.rows(1, 1);
      using Real = typename B::Real;
      pass.backend(ops::Fill<B>{.x = factor,
                                .value = static_cast<typename B::Scalar>(static_cast<Real>(parameter_.initial.scale))});
    }
    pass.backend(ops::ScaleGroups<B>{.x = x, .f = factor, .y = y});
  }

  /// dx = λ dy; adds to the gradient of λ. dx may be dy.
  void backward(const Pass<B>& pass, Rows<B> dy, Rows<B> x, Rows<B> dx) {
    if (!learned_) return forward(pass, dy, dx);
    const ArenaScope scope(pass.scratch);
    const auto of_rows = pass.scratch.rows(dy.rows, 1);
    pass.backend(ops::ScaleGroupsBackward<B>{.dy = dy, .x = x, .f = parameter_.value, .dx = dx, .df = of_rows});
    pass.backend(ops::BiasGradient<B>{.dy = of_rows, .db = parameter_.gradient});
  }

 private:
  bool learned_;
  Parameter<B> parameter_;
};

template <class B>
class ValueResidual {
 public:
  struct Saved {
    Rows<B> own;
  };

  /// The values of the first layer are given to others, the values of a layer that `takes` are mixed, all
  /// others stay alone.
  ValueResidual(const AttentionOptions& options, bool gives, bool takes)
      : gives_(gives),
        takes_(takes),
        own_(options.value_residual == ValueResidualKind::Learned, options.value_residual_own),
        first_(options.value_residual == ValueResidualKind::Learned, options.value_residual_first) {}

  static void visit(auto& self, auto&& visitor) {
    if (!self.takes_) return;
    visitor("own", self.own_);
    visitor("first", self.first_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> v, const FirstValues<B>& first, Saved& saved) const {
    if (gives_ && first) pass.backend(ops::Copy<B>{.x = v, .y = first.values});
    if (!takes_) return v;
    assert(first && first.values.rows == v.rows && first.values.cols == v.cols);
    saved.own = v;
    const auto mixed = pass.saved.rows(v.rows, v.cols);
    own_.forward(pass, v, mixed);
    const ArenaScope scope(pass.scratch);
    const auto part = pass.scratch.rows(v.rows, v.cols);
    first_.forward(pass, first.values, part);
    pass.backend(ops::Add<B>{.x = part, .y = mixed});
    return mixed;
  }

  /// `gradient` belongs to the result, and becomes the gradient of v. A layer that takes values adds to their gradient;
  /// the first layer, whose turn is last, receives the sum.
  void backward(const Pass<B>& pass, Rows<B> gradient, const FirstValues<B>& first, const Saved& saved) {
    if (gives_ && first) pass.backend(ops::Add<B>{.x = first.gradient, .y = gradient});
    if (!takes_) return;
    const ArenaScope scope(pass.scratch);
    const auto part = pass.scratch.rows(gradient.rows, gradient.cols);
    first_.backward(pass, gradient, first.values, part);
    pass.backend(ops::Add<B>{.x = part, .y = first.gradient});
    own_.backward(pass, gradient, saved.own, gradient);
  }

 private:
  bool gives_, takes_;
  Factor<B> own_, first_;
};

}  // namespace neural_attention
