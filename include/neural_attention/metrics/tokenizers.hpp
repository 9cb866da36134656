// The tokenizers with which sacreBLEU 2.4.3 splits a segment before BLEU counts its n-grams. Input is UTF-8; white
// space is the same as for Python's str.split().
//
// 13a, zh and intl are chained regular expressions over the whole segment. They amount to a local rule for each
// character (see split_tokens), so one pass suffices.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::metrics {

enum class BleuTokenizer {
  Mteval13a,      ///< `13a`: ASCII punctuation and symbols stand alone; the markup of old test sets goes
  International,  ///< `intl`: all of Unicode's punctuation and symbols stand alone
  Characters,     ///< `char`: each character that is no white space
  Chinese,        ///< `zh`: Chinese characters stand alone, the rest as in 13a
  None            ///< `none`: words between white space
};

inline constexpr std::array<std::pair<BleuTokenizer, std::string_view>, 5> bleu_tokenizers = {{
    {BleuTokenizer::Mteval13a, "13a"},
    {BleuTokenizer::International, "intl"},
    {BleuTokenizer::Characters, "char"},
    {BleuTokenizer::Chinese, "zh"},
    {BleuTokenizer::None, "none"},
}};

/// sacreBLEU's name of a tokenizer.
constexpr std::string_view bleu_tokenizer_name(BleuTokenizer tokenizer) {
  for (const auto& [known, name] : bleu_tokenizers)
    if (known == tokenizer) return name;
  return {};
}

/// The tokenizer with that name. Throws ConfigError if there is none.
BleuTokenizer bleu_tokenizer(std::string_view name);

/// The tokens of one segment, apart from white space at its end. Joined by single spaces and stripped, they equal the
/// result of sacreBLEU's tokenizer of that name. Bytes that are not UTF-8 count as letters.
std::vector<std::string> tokenize(std::string_view segment, BleuTokenizer tokenizer);

}  // namespace neural_attention::metrics

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/metrics/impl/tokenizers.hpp"
#endif
