// expect: use of deleted function
// A Translator keeps a reference to its tokenizer: a temporary one would be gone before the first request.
#include <neural_attention/neural_attention.hpp>
#include <neural_attention/text/services/translator.hpp>
#include <neural_attention/text/tokenizers/marian_tokenizer.hpp>

namespace na = neural_attention;
using Model = na::Marian<na::Cpu<float>, na::LinearProjections>;

auto translator(const Model& model, const na::GenerationConfig& how) {
  return na::text::Translator(model, na::text::MarianTokenizer::load("model"), how);
}
