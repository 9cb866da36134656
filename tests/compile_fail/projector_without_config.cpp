// expect: a projector needs a constructor from ProjectorConfig
// A projector that cannot be made from a ProjectorConfig is refused in one sentence that says so.
#include <neural_attention/neural_attention.hpp>

namespace na = neural_attention;

template <class B>
struct Homeless : na::Linear<B> {
  Homeless() : na::Linear<B>(4, 4) {}
};

using Projections = na::Projections<na::Linear, Homeless, na::Linear, na::Linear>;
template class na::MultiHeadAttention<na::Cpu<float>, Projections>;
