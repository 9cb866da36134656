// expect: a projector needs Rows<B> backward(const Pass<B>&, Rows<B> dy, const Saved&, Rows<B> dx = {})
// A projector that lacks backward is refused in one sentence that names it.
#include <neural_attention/neural_attention.hpp>

namespace na = neural_attention;

template <class B>
struct ForwardOnly {
  struct Saved {};
  explicit ForwardOnly(const na::ProjectorConfig&) {}
  static void visit(auto&, auto&&) {}
  na::Rows<B> forward(const na::Pass<B>&, na::Rows<B> x, Saved&) const { return x; }
};

using Projections = na::Projections<ForwardOnly, na::Linear, na::Linear, na::Linear>;
template class na::MultiHeadAttention<na::Cpu<float>, Projections>;
