// Pattention: y = Θ(x Kᵀ) V, attention to learned tokens in place of a matrix, x [n, d_in], K [tokens, d_in],
// V [tokens, d_out], y [n, d_out]. Θ(s) = gelu(s / |s| · √tokens) per row, the normalised GELU of TokenFormer
// (arXiv 2410.23168). The hidden width is the number of tokens.
#pragma once

#include "neural_attention/core/pass.hpp"
#include "neural_attention/core/projector_config.hpp"

namespace neural_attention {

template <class B>
class Pattention {
  using Scalar = typename B::Scalar;
  using Real = typename B::Real;

 public:
  static constexpr bool maps_width = true;
  static constexpr HiddenWidth usual_width = HiddenWidth::matched();

  struct Saved {
    Rows<B> x, scores, ones, scaled, weights;
    RowsOf<Real> stats;
  };

  explicit Pattention(const ProjectorConfig& config)
      : keys(config.hidden_columns(), config.d_in, config.initial(config.d_in, config.hidden_columns())),
        values(config.hidden_columns(), config.d_out, config.initial(config.hidden_columns(), config.d_out)) {
    keys.quantizable = true;
  }

  static void visit(auto& self, auto&& visitor) {
    visitor("key_param_tokens", self.keys);
    visitor("value_param_tokens", self.values);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    const int tokens = keys.rows;
    saved = {x,
             pass.saved.rows(x.rows, tokens),
             pass.saved.rows(1, tokens),
             pass.saved.rows(x.rows, tokens),
             pass.saved.rows(x.rows, tokens),
             pass.saved.template rows<Real>(x.rows, 1)};
    const auto y = pass.saved.rows(x.rows, values.cols);
    pass.backend(ops::Linear<B>{.x = x, .w = keys.value, .y = saved.scores, .quantized = keys.quantized});
    // s / |s| · √tokens is RMSNorm without a gain.
    pass.backend(ops::Fill<B>{.x = saved.ones, .value = Scalar(1)});
    pass.backend(ops::RmsNorm<B>{
        .x = saved.scores, .gain = saved.ones, .epsilon = epsilon, .y = saved.scaled, .stats = saved.stats});
    pass.backend(ops::Activate<B>{.f = Activation::Gelu, .x = saved.scaled, .y = saved.weights});
    pass.backend(ops::LinearInputGradient<B>{.dy = saved.weights, .w = values.value, .dx = y});  // weights · V
    return y;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const GradientTarget<B> target(pass, dx, dy.rows, keys.cols);
    const ArenaScope scope(pass.scratch);
    const auto dscores = pass.scratch.rows(dy.rows, keys.rows);
    const auto unused =
        pass.scratch.template rows<Real>(1, keys.rows);  // the gradient of the gain that is no parameter
    pass.backend(ops::FillOf<Real>{.x = unused, .value = Real(0)});
    pass.backend(ops::LinearWeightGradient<B>{.dy = saved.weights, .x = dy, .dw = values.gradient});
    pass.backend(ops::Linear<B>{.x = dy, .w = values.value, .y = dscores});
    pass.backend(ops::ActivateBackward<B>{.f = Activation::Gelu, .x = saved.scaled, .dy = dscores, .dx = dscores});
    pass.backend(ops::RmsNormBackward<B>{
        .dy = dscores, .x = saved.scores, .gain = saved.ones, .stats = saved.stats, .dx = dscores, .dgain = unused});
    pass.backend(ops::LinearWeightGradient<B>{.dy = dscores, .x = saved.x, .dw = keys.gradient});
    pass.backend(ops::LinearInputGradient<B>{.dy = dscores, .w = keys.value, .into = target.into, .dx = target.rows});
    return target.rows;
  }

  Parameter<B> keys, values;

 private:
  /// Only for a row of zeros, which the source divides by zero.
  static constexpr double epsilon = 1e-20;
};

}  // namespace neural_attention
