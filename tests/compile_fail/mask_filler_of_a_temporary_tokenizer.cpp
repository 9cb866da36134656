// expect: use of deleted function
// A MaskFiller keeps a reference to its tokenizer: a temporary one would be gone before the first request.
#include <neural_attention/neural_attention.hpp>
#include <neural_attention/text/services/mask_filler.hpp>
#include <neural_attention/text/tokenizers/byte_bpe.hpp>

namespace na = neural_attention;
using Model = na::Roberta<na::Cpu<float>, na::LinearProjections>;

auto filler(const Model& model) { return na::text::MaskFiller(model, na::text::ByteBpe::load("model")); }
