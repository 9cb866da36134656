// Compiles the tokenizers once, for programs that link neural_attention::compiled.
#include "neural_attention/text/tokenizers/impl/byte_bpe.hpp"
#include "neural_attention/text/tokenizers/impl/byte_bpe_files.hpp"
#include "neural_attention/text/tokenizers/impl/marian_tokenizer.hpp"
#include "neural_attention/text/tokenizers/impl/marian_vocabulary.hpp"
#include "neural_attention/text/tokenizers/impl/sentencepiece.hpp"
#include "neural_attention/text/tokenizers/impl/sentencepiece_check.hpp"
#include "neural_attention/text/tokenizers/impl/vocabulary_json.hpp"
#include "neural_attention/text/tokenizers/impl/word_splitter.hpp"
