// expect: a decodable model needs append(const Pass<Backend>&, const PackedTokens& runs, DecoderState&) const
// A model that cannot read a prompt is refused in one sentence.
#include <neural_attention/neural_attention.hpp>

namespace na = neural_attention;

struct NoAppend : na::paper::Marian {
  void append() const;
};

static_assert(sizeof(na::Generator<NoAppend>));
