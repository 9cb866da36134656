// The projectors of the paper (arXiv 2310.11398), projectors of other works, and controls for both. projector_names.hpp
// has their names in files and programs, arrangements.hpp the types that assign them to the four roles of attention.
#pragma once

#include <utility>

#include "neural_attention/attention/depthwise_conv.hpp"
#include "neural_attention/attention/gated.hpp"
#include "neural_attention/attention/glu_silu.hpp"
#include "neural_attention/attention/identity.hpp"
#include "neural_attention/attention/identity_residual.hpp"
#include "neural_attention/attention/joint_qkv.hpp"
#include "neural_attention/attention/pattention.hpp"
#include "neural_attention/attention/residual.hpp"
#include "neural_attention/nn/rational.hpp"
#include "neural_attention/nn/sequential.hpp"

namespace neural_attention {

/// Linear(d, 2d) → LayerNorm(2d) → ReLU → Linear(2d, d)
template <class B>
using Neural = Stack<B, Linear, LayerNorm, Relu, Linear>;
/// Linear(d, 2d) → ReLU → Linear(2d, d)
template <class B>
using PlainNeural = Stack<B, Linear, Relu, Linear>;
/// A linear map with the parameter names of a sequence (`k_proj.0.weight`), as in the authors' baseline.
template <class B>
using SequentialLinear = Stack<B, Linear>;
/// W x + b + Neural(x)
template <class B>
using ResidualNeural = Residual<B, Neural>;
/// W x + b + PlainNeural(x)
template <class B>
using ResidualPlainNeural = Residual<B, PlainNeural>;

/// W₂ W₁ x through a bottleneck, with biases: a control for forms that have one.
template <class B>
struct LowRank : Stack<B, Linear, Linear> {
  using Stack<B, Linear, Linear>::Stack;
  static constexpr HiddenWidth usual_width = HiddenWidth::times(0.5);
};
/// W₂ W₁ x through twice the width, with biases: the parameters of PlainNeural without its non-linearity.
template <class B>
struct DeepLinear : Stack<B, Linear, Linear> {
  using Stack<B, Linear, Linear>::Stack;
  static constexpr HiddenWidth usual_width = HiddenWidth::times(2.0);
};
/// f(W x + b); SiLU is arXiv 2402.17152's.
template <class B>
using LinearSilu = Stack<B, Linear, Silu>;
template <class B>
using LinearGelu = Stack<B, Linear, Gelu>;
/// W₂ r(W₁ x + b₁) + b₂ with a learned rational function r that begins near SiLU (arXiv 2409.10594).
template <class B>
using RationalNeural = Stack<B, Linear, Rational, Linear>;
template <class B>
using GatedSilu = Gated<B, Activation::Silu>;
template <class B>
using GatedGelu = Gated<B, Activation::Gelu>;

/// LayerNorm(W₂ gelu(W₁ rmsnorm(x))) through half the width, without biases: as many elements as a matrix [d, d].
template <class B>
struct NonlinearBranch : Stack<B, RmsNorm, Linear, Gelu, Linear, LayerNorm> {
  using Base = Stack<B, RmsNorm, Linear, Gelu, Linear, LayerNorm>;
  explicit NonlinearBranch(ProjectorConfig config) : Base(without_bias(std::move(config))) {}
  static ProjectorConfig without_bias(ProjectorConfig config) {
    config.bias = false;
    return config;
  }
};
/// (x + NonlinearBranch(x)) / 2, arXiv 2603.13381. The authors' code halves the scale of the attention instead: as a
/// query, that is the same function with the same weights.
template <class B>
struct NonlinearQuery : IdentityResidual<B, NonlinearBranch, 2> {
  using IdentityResidual<B, NonlinearBranch, 2>::IdentityResidual;
  static constexpr HiddenWidth usual_width = HiddenWidth::times(0.5);
};

/// A causal convolution of three tokens after a linear map, as in Primer, arXiv 2109.08668.
template <class B>
using ConvLinear = DepthwiseConv<B, Linear>;
template <class B>
using ConvNeural = DepthwiseConv<B, Neural>;
/// The same with the token in the middle, for encoders.
template <class B>
using CentredConvLinear = DepthwiseConv<B, Linear, 3, Sees::BothSides>;

}  // namespace neural_attention
