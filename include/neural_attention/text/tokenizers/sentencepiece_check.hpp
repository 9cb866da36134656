// Checks a SentencePiece model before the sentencepiece library reads it. The library trusts its files: a wrong unit in
// the normalizer's trie makes it read anywhere in memory, and some faults end the process. The file is a protocol
// buffer, ModelProto:
//   1: piece, repeated {1: text, 2: score, 3: type}    3, 5: normalizer, denormalizer {2: precompiled map}
// and a precompiled map is: size of the trie (4 bytes), the trie, strings that end with zero bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::text {

/// In bytes. Real models have a few million.
inline constexpr std::size_t largest_sentencepiece_model = std::size_t{1} << 25;
inline constexpr std::size_t longest_sentencepiece = 4096;  ///< bytes of a piece

/// Throws FileError, which names `path`, if `model` is not a SentencePiece model that the library can read safely.
void check_sentencepiece_model(std::string_view model, const std::string& path);

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/tokenizers/impl/sentencepiece_check.hpp"
#endif
