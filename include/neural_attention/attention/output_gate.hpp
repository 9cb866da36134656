// OutputGate: y = c ⊙ σ(x W_gᵀ), where c [n, d_v] is what the heads of an attention computed, before the output
// projection, and x [n, d] is the attention's input (Qiu et al. 2025, arXiv 2505.06708, the gate G1). W_g [heads, d]
// has one gate for each head, W_g [d_v, d] one for each element; there is no bias, and c σ(0) = c / 2 where it begins
// near zero.
#pragma once

#include <optional>

#include "neural_attention/attention/attention_config.hpp"
#include "neural_attention/nn/linear.hpp"

namespace neural_attention {

template <class B>
class OutputGate {
 public:
  struct Saved {
    typename Linear<B>::Saved linear;
    Rows<B> context, gates;
  };

  explicit OutputGate(const AttentionConfig& config) {
    constexpr bool bias = false;
    const auto kind = config.options.gate;
    const int gates = kind == GateKind::PerHead ? config.heads : config.widths().values;
    if (kind != GateKind::None) linear_.emplace(config.d_model, gates, config.query.initial, bias);
  }

  static void visit(auto& self, auto&& visitor) {
    if (self.linear_) visitor("", *self.linear_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Rows<B> context, Saved& saved) const {
    if (!linear_) return context;
    saved.context = context;
    saved.gates = linear_->forward(pass, x, saved.linear);
    const auto y = pass.saved.rows(context.rows, context.cols);
    pass.backend(ops::ScaleGroups<B>{.x = context, .f = saved.gates, .sigmoid = true, .y = y});
    return y;
  }

  /// `gradient` is dy, and becomes the gradient of the context; the gradient of x is added to dx.
  void backward(const Pass<B>& pass, Rows<B> gradient, const Saved& saved, Rows<B> dx) {
    if (!linear_) return;
    const ArenaScope scope(pass.scratch);
    const auto of_gates = pass.scratch.rows(saved.gates.rows, saved.gates.cols);
    pass.backend(ops::ScaleGroupsBackward<B>{
        .dy = gradient, .x = saved.context, .f = saved.gates, .sigmoid = true, .dx = gradient, .df = of_gates});
    linear_->backward(pass, of_gates, saved.linear, dx);
  }

 private:
  std::optional<Linear<B>> linear_;
};

}  // namespace neural_attention
