// Linear: y = x Wᵀ + b, x [n, in], W [out, in], b [out], y [n, out], or without b. dx = dy W, dW = dyᵀ x,
// db = Σ_rows dy. In a Sequential, the same operation computes a ReLU that follows.
#pragma once

#include "neural_attention/core/pass.hpp"
#include "neural_attention/core/projector_config.hpp"

namespace neural_attention {

template <class B>
class Linear {
 public:
  static constexpr bool maps_width = true;
  static constexpr bool fuses(Activation f) { return f == Activation::Relu; }
  static constexpr bool takes_input_again = true;  ///< see Sequential

  struct Saved {
    Rows<B> x;
    Rows<B> y;  // read only when a ReLU is fused
  };

  explicit Linear(const ProjectorConfig& config) : Linear(config.d_in, config.d_out, config.initial, config.bias) {}
  Linear(int in, int out, WeightInitial initial = {}, bool with_bias = true)
      : weight(out, in, initial(in, out)), bias(with_bias ? out : 0, Initial::constant(0.0)) {
    weight.quantizable = true;
  }

  static void visit(auto& self, auto&& visitor) {
    visitor("weight", self.weight);
    if (self.has_bias()) visitor("bias", self.bias);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const { return forward_fused(pass, x, saved, {}); }

  Rows<B> forward_fused(const Pass<B>& pass, Rows<B> x, Saved& saved, Activation f) const {
    const auto y = pass.saved.rows(x.rows, weight.rows);
    pass.backend(ops::Linear<B>{
        .x = x, .w = weight.value, .bias = bias.value, .activation = f, .y = y, .quantized = weight.quantized});
    saved = {x, y};
    return y;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    return backward_into(pass, dy, saved, GradientTarget<B>(pass, dx, dy.rows, weight.cols));
  }

  Rows<B> backward_fused(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Activation f, Rows<B> dx = {}) {
    const GradientTarget<B> target(pass, dx, dy.rows, weight.cols);
    const ArenaScope scope(pass.scratch);
    const auto inner = pass.scratch.rows(dy.rows, dy.cols);
    pass.backend(ops::ActivateBackward<B>{.f = f, .x = saved.y, .dy = dy, .dx = inner});
    return backward_into(pass, inner, saved, target);
  }

  bool has_bias() const { return bias.cols > 0; }

  Parameter<B> weight;
  Parameter<B> bias;  ///< of no columns if the map has none

 private:
  Rows<B> backward_into(const Pass<B>& pass, Rows<B> dy, const Saved& saved, const GradientTarget<B>& dx) {
    pass.backend(ops::LinearWeightGradient<B>{.dy = dy, .x = saved.x, .dw = weight.gradient});
    if (has_bias()) pass.backend(ops::BiasGradient<B>{.dy = dy, .db = bias.gradient});
    pass.backend(ops::LinearInputGradient<B>{.dy = dy, .w = weight.value, .into = dx.into, .dx = dx.rows});
    return dx.rows;
  }
};

}  // namespace neural_attention
