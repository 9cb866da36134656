// The projectors of the paper (arXiv 2310.11398) and how the four roles of attention choose theirs.
// Neural: Linear(d, 2d) → LayerNorm(2d) → ReLU → Linear(2d, d). PlainNeural: the same without LayerNorm.
#pragma once

#include "neural_attention/nn/sequential.hpp"

namespace neural_attention {

template <class B>
using Neural = Stack<B, Linear, LayerNorm, Relu, Linear>;
template <class B>
using PlainNeural = Stack<B, Linear, Relu, Linear>;
/// A linear map under the name of a sequence (`k_proj.0.weight`), as in the authors' baseline.
template <class B>
using SequentialLinear = Stack<B, Linear>;

/// Which projector each role of an attention uses.
template <template <class> class Q, template <class> class K, template <class> class V, template <class> class Out>
struct Projections {
  template <class B>
  using Query = Q<B>;
  template <class B>
  using Key = K<B>;
  template <class B>
  using Value = V<B>;
  template <class B>
  using Output = Out<B>;
};

/// Stock attention.
using LinearProjections = Projections<Linear, Linear, Linear, Linear>;

/// The variants of the paper, as in the authors' code.
namespace paper {
using marian = Projections<Neural, Neural, Linear, Neural>;
using marian_baseline = Projections<SequentialLinear, SequentialLinear, Linear, SequentialLinear>;
using roberta = Projections<PlainNeural, PlainNeural, PlainNeural, Linear>;
using roberta_baseline = Projections<SequentialLinear, SequentialLinear, SequentialLinear, Linear>;
}  // namespace paper

}  // namespace neural_attention
