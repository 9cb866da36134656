// Residual: y = W x + b + Inner(x), x [n, d_in], y [n, d_out]: a linear map corrected by a network. The network's last
// layer starts at zero, so a new projector equals its linear map, whatever norms and activations the network has.
#pragma once

#include "neural_attention/nn/linear.hpp"

namespace neural_attention {

/// `Inner` is any projector; it is named `mlp`, so that parameters are `k_proj.linear.weight`, `k_proj.mlp.0.weight` ….
template <class B, template <class> class Inner>
class Residual {
 public:
  static constexpr bool maps_width = true;

  struct Saved {
    typename Linear<B>::Saved linear;
    typename Inner<B>::Saved mlp;
  };

  explicit Residual(const ProjectorConfig& config) : linear(config), mlp(config) {
    for_each_last([](Parameter<B>& tensor) { tensor.initial = Initial::constant(0.0); });
  }

  static void visit(auto& self, auto&& visitor) {
    visitor("linear", self.linear);
    visitor("mlp", self.mlp);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    const auto y = linear.forward(pass, x, saved.linear);
    pass.backend(ops::Add<B>{.x = mlp.forward(pass, x, saved.mlp), .y = y});
    return y;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    return mlp.backward(pass, dy, saved.mlp, linear.backward(pass, dy, saved.linear, dx));
  }

  /// Calls use(tensor) for the last matrix of the network and the vectors after it. While these are zero, the
  /// network's output is zero.
  void for_each_last(auto&& use) {
    int matrices = 0;
    for_each_leaf(mlp, [&](const std::string&, Parameter<B>& tensor) { matrices += !tensor.vector; });
    for_each_leaf(mlp, [&](const std::string&, Parameter<B>& tensor) {
      matrices -= !tensor.vector;
      if (matrices == 0) use(tensor);
    });
  }

  Linear<B> linear;
  Inner<B> mlp;
};

}  // namespace neural_attention
