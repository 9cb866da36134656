// LayerNorm: y = (x - mean) / sqrt(var + eps) · gain + bias over each row, x and y [n, d] (Ba et al. 2016), or without
// bias. RmsNorm: y = x / sqrt(mean(x²) + eps) · gain (Zhang & Sennrich 2019).
// In a Sequential, the same operation computes a ReLU that follows.
#pragma once

#include "neural_attention/core/pass.hpp"
#include "neural_attention/core/projector_config.hpp"

namespace neural_attention {

template <class B>
class LayerNorm {
 public:
  static constexpr bool fuses(Activation f) { return f == Activation::Relu; }
  static constexpr bool runs_again = true;  ///< see Sequential

  struct Saved {
    Rows<B> x;
    Rows<B> y;  // read only when a ReLU is fused
    RowsOf<typename B::Real> stats;
  };

  explicit LayerNorm(const ProjectorConfig& config) : LayerNorm(config.d_in, config.norm_eps, config.bias) {}
  explicit LayerNorm(int width, double eps = 1e-5, bool with_bias = true)
      : gain(width, Initial::constant(1.0)), bias(with_bias ? width : 0, Initial::constant(0.0)), eps_(eps) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("weight", self.gain);
    if (self.bias.cols > 0) visitor("bias", self.bias);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    return forward_fused(pass, x, saved, Activation::Identity);
  }

  Rows<B> forward_fused(const Pass<B>& pass, Rows<B> x, Saved& saved, Activation f) const {
    return forward_into(pass, x, saved, pass.saved.rows(x.rows, x.cols), f);
  }

  /// Writes y to rows of the caller, who may use them for other numbers until backward: write_again() writes y once
  /// more.
  Rows<B> forward_into(const Pass<B>& pass, Rows<B> x, Saved& saved, Rows<B> y,
                       Activation f = Activation::Identity) const {
    saved = {x, y, pass.saved.template rows<typename B::Real>(x.rows, 2)};
    write_again(pass, saved, f);
    return y;
  }
  void write_again(const Pass<B>& pass, const Saved& saved, Activation f = Activation::Identity) const {
    pass.backend(ops::LayerNorm<B>{.x = saved.x,
                                   .gain = gain.value,
                                   .bias = bias.value,
                                   .epsilon = eps_,
                                   .relu = f == Activation::Relu,
                                   .y = saved.y,
                                   .stats = saved.stats});
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    return backward_fused(pass, dy, saved, Activation::Identity, dx);
  }

  Rows<B> backward_fused(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Activation f, Rows<B> dx = {}) {
    const GradientTarget<B> target(pass, dx, dy.rows, dy.cols);
    pass.backend(ops::LayerNormBackward<B>{.dy = dy,
                                           .x = saved.x,
                                           .y = saved.y,
                                           .gain = gain.value,
                                           .stats = saved.stats,
                                           .relu = f == Activation::Relu,
                                           .into = target.into,
                                           .dx = target.rows,
                                           .dgain = gain.gradient,
                                           .dbias = bias.gradient});
    return target.rows;
  }

  double epsilon() const { return eps_; }

  Parameter<B> gain;
  Parameter<B> bias;  ///< of no columns if the norm has none

 private:
  double eps_;
};

template <class B>
class RmsNorm {
 public:
  static constexpr bool fuses(Activation f) { return f == Activation::Relu; }
  static constexpr bool runs_again = true;  ///< see Sequential

  struct Saved {
    Rows<B> x;
    Rows<B> y;  // read only when a ReLU is fused
    RowsOf<typename B::Real> stats;
  };

  explicit RmsNorm(const ProjectorConfig& config) : RmsNorm(config.d_in, config.norm_eps) {}
  explicit RmsNorm(int width, double eps = 1e-5) : gain(width, Initial::constant(1.0)), eps_(eps) {}

  static void visit(auto& self, auto&& visitor) { visitor("weight", self.gain); }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    return forward_fused(pass, x, saved, Activation::Identity);
  }

  Rows<B> forward_fused(const Pass<B>& pass, Rows<B> x, Saved& saved, Activation f) const {
    saved = {x, pass.saved.rows(x.rows, x.cols), pass.saved.template rows<typename B::Real>(x.rows, 1)};
    pass.backend(ops::RmsNorm<B>{.x = x,
                                 .gain = gain.value,
                                 .epsilon = eps_,
                                 .relu = f == Activation::Relu,
                                 .y = saved.y,
                                 .stats = saved.stats});
    return saved.y;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    return backward_fused(pass, dy, saved, Activation::Identity, dx);
  }

  Rows<B> backward_fused(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Activation f, Rows<B> dx = {}) {
    const GradientTarget<B> target(pass, dx, dy.rows, dy.cols);
    pass.backend(ops::RmsNormBackward<B>{.dy = dy,
                                         .x = saved.x,
                                         .y = saved.y,
                                         .gain = gain.value,
                                         .stats = saved.stats,
                                         .relu = f == Activation::Relu,
                                         .into = target.into,
                                         .dx = target.rows,
                                         .dgain = gain.gradient});
    return target.rows;
  }

  Parameter<B> gain;

 private:
  double eps_;
};

}  // namespace neural_attention
