// Element-wise modules without parameters: y = f(x), shapes [n, d] to [n, d].
#pragma once

#include "neural_attention/core/pass.hpp"
#include "neural_attention/core/projector_config.hpp"

namespace neural_attention {

template <class B, Activation F>
class ElementWise {
 public:
  static constexpr Activation function = F;
  static constexpr bool runs_again = true;  ///< see Sequential

  struct Saved {
    Rows<B> x;
  };

  ElementWise() = default;
  explicit ElementWise(const ProjectorConfig&) {}

  static void visit(auto&, auto&&) {}

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    saved.x = x;
    const auto y = pass.saved.rows(x.rows, x.cols);
    pass.backend(ops::Activate<B>{.f = F, .x = x, .y = y});
    return y;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const auto written = pass.scratch.rows(dy.rows, dy.cols);
    pass.backend(ops::ActivateBackward<B>{.f = F, .x = saved.x, .dy = dy, .dx = written});
    if (!dx) return written;
    pass.backend(ops::Add<B>{.x = written, .y = dx});
    return dx;
  }
};

template <class B>
using Relu = ElementWise<B, Activation::Relu>;
template <class B>
using Gelu = ElementWise<B, Activation::Gelu>;
template <class B>
using GeluTanh = ElementWise<B, Activation::GeluTanh>;
template <class B>
using Silu = ElementWise<B, Activation::Silu>;
template <class B>
using Mish = ElementWise<B, Activation::Mish>;

}  // namespace neural_attention
