// Instantiates Translator and MaskFiller of the paper's models once, for programs that link neural_attention::compiled.
#include "neural_attention/models/paper.hpp"
#include "neural_attention/text/services/mask_filler.hpp"
#include "neural_attention/text/services/translator.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"

namespace neural_attention::text {

template class Translator<paper::Marian, MarianTokenizer>;
template class MaskFiller<paper::Roberta, ByteBpe>;

}  // namespace neural_attention::text
