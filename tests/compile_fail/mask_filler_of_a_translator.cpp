// expect: a model that fills masks needs Rows<Backend> masked_logits(const Pass<Backend>&, const MaskedBatch&, Saved&)
// A model that fills no masks is refused in one sentence.
#include <neural_attention/neural_attention.hpp>

#include "neural_attention/text/services/mask_filler.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"

namespace na = neural_attention;

static_assert(sizeof(na::text::MaskFiller<na::paper::Marian, na::text::ByteBpe>));
