// chrF (Popović, 2015) and chrF++ (2017) as sacreBLEU computes them: cased, character n-grams up to 6 of the text
// without white space, for chrF++ word n-grams too. P and R are means of the orders' precisions match_n / hypothesis_n
// and recalls match_n / reference_n, over the orders that both sides have n-grams for:
//   chrF_β = 100 (1 + β²) P R / (β² P + R)
// Each segment gives sufficient statistics; a corpus and a bootstrap sample are sums of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/metrics/corpus.hpp"

namespace neural_attention::metrics {

inline constexpr int chrf_character_order = 6;
inline constexpr int chrf_largest_word_order = 2;

struct ChrfOptions {
  int word_order = 0;  ///< 0: chrF, 2: chrF++
  int beta = 2;        ///< recall weighs β times as much as precision

  /// Throws ConfigError for a word order that is not 0, 1 or 2, and for β < 1.
  void validate() const {
    if (word_order < 0 || word_order > chrf_largest_word_order)
      throw ConfigError("chrF's word order must be 0, 1 or 2, not " + std::to_string(word_order));
    if (beta < 1 || beta > 1000) throw ConfigError("chrF's beta must be 1 to 1000, not " + std::to_string(beta));
  }
};

/// The statistics of a segment or of a sum of segments: numbers of n-grams, first of characters (n = 1 … 6), then of
/// words.
struct ChrfStatistics {
  using Counts = std::array<std::int64_t, chrf_character_order + chrf_largest_word_order>;
  Counts hypothesis{};  ///< n-grams of the hypothesis, 0 where the reference has none of this order
  Counts reference{};   ///< n-grams of the reference
  Counts matches{};     ///< n-grams of the hypothesis that the reference has too (clipped)

  ChrfStatistics& operator+=(const ChrfStatistics& other) {
    for (std::size_t n = 0; n < matches.size(); ++n) {
      hypothesis[n] += other.hypothesis[n];
      reference[n] += other.reference[n];
      matches[n] += other.matches[n];
    }
    return *this;
  }
};

/// A chrF score with everything that a report should state.
struct Chrf {
  double score = 0;  ///< 0 to 100
  ChrfOptions options;
  int references = 1;  ///< reference streams

  /// `chrF2 = 55.12`, `chrF2++ = 53.40`. The process's locale has no influence.
  std::string format(int digits = 2) const {
    return "chrF" + std::to_string(options.beta) + std::string(static_cast<std::size_t>(options.word_order), '+') +
           " = " + detail::fixed(score, std::clamp(digits, 0, 17));
  }

  /// How the score was computed, in sacreBLEU's notation. The version names the sacreBLEU release that this
  /// implementation agrees with; sacreBLEU itself was not run.
  std::string signature() const {
    return "nrefs:" + std::to_string(references) + "|case:mixed|eff:yes|nc:6|nw:" + std::to_string(options.word_order) +
           "|space:no|version:2.4.3";
  }
};

namespace detail {

/// One segment taken apart: its characters without white space, and its words where they count.
struct ChrfText {
  std::string characters;
  std::vector<std::size_t> starts;  // of each character, then the end
  std::vector<std::string> words;
};

constexpr bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/// One punctuation mark at a word's end, else one at its beginning, becomes a word of its own.
inline void add_chrf_word(std::string_view word, std::size_t characters, std::vector<std::string>& words) {
  if (characters > 1 && is_ascii_punctuation(word.back())) {
    words.emplace_back(word.substr(0, word.size() - 1));
    words.emplace_back(word.substr(word.size() - 1));
  } else if (characters > 1 && is_ascii_punctuation(word.front())) {
    words.emplace_back(word.substr(0, 1));
    words.emplace_back(word.substr(1));
  } else {
    words.emplace_back(word);
  }
}

/// Bytes that are not UTF-8 count as characters.
inline ChrfText chrf_text(std::string_view segment, bool words) {
  ChrfText result;
  std::size_t word_begin = 0, word_characters = 0;
  const auto end_word = [&] {
    if (words && word_characters > 0)
      add_chrf_word(std::string_view(result.characters).substr(word_begin), word_characters, result.words);
    word_begin = result.characters.size();
    word_characters = 0;
  };
  while (!segment.empty()) {
    if (const auto space = leading_space(segment); space > 0) {
      end_word();
      segment.remove_prefix(space);
      continue;
    }
    const auto length = std::max<std::size_t>(1, utf8_length(segment));
    result.starts.push_back(result.characters.size());
    result.characters += segment.substr(0, length);
    ++word_characters;
    segment.remove_prefix(length);
  }
  end_word();
  result.starts.push_back(result.characters.size());
  return result;
}

/// The n-grams of one order. N-grams of words are joined by spaces, which no word contains.
using ChrfNgrams = std::unordered_map<std::string, std::int64_t>;

inline ChrfNgrams character_ngrams(const ChrfText& text, std::size_t n) {
  ChrfNgrams ngrams;
  for (std::size_t i = 0; i + n < text.starts.size(); ++i)
    ++ngrams[text.characters.substr(text.starts[i], text.starts[i + n] - text.starts[i])];
  return ngrams;
}

inline ChrfNgrams word_ngrams(const ChrfText& text, std::size_t n) {
  ChrfNgrams ngrams;
  for (std::size_t i = 0; i + n <= text.words.size(); ++i) {
    auto ngram = text.words[i];
    for (std::size_t word = i + 1; word < i + n; ++word) ngram.append(1, ' ').append(text.words[word]);
    ++ngrams[std::move(ngram)];
  }
  return ngrams;
}

/// The n-grams of every order, in the order of ChrfStatistics.
inline std::vector<ChrfNgrams> chrf_ngrams(std::string_view segment, int word_order) {
  const auto text = chrf_text(segment, word_order > 0);
  std::vector<ChrfNgrams> ngrams;
  for (std::size_t n = 1; n <= std::size_t{chrf_character_order}; ++n) ngrams.push_back(character_ngrams(text, n));
  for (std::size_t n = 1; n <= static_cast<std::size_t>(word_order); ++n) ngrams.push_back(word_ngrams(text, n));
  return ngrams;
}

inline ChrfStatistics match_ngrams(const std::vector<ChrfNgrams>& hypothesis,
                                   const std::vector<ChrfNgrams>& reference) {
  ChrfStatistics result;
  for (std::size_t order = 0; order < hypothesis.size(); ++order) {
    for (const auto& [ngram, count] : reference[order]) result.reference[order] += count;
    if (reference[order].empty()) continue;
    for (const auto& [ngram, count] : hypothesis[order]) {
      result.hypothesis[order] += count;
      if (const auto found = reference[order].find(ngram); found != reference[order].end())
        result.matches[order] += std::min(count, found->second);
    }
  }
  return result;
}

}  // namespace detail

/// The score of summed statistics, which must have been made with the same `options`.
inline Chrf chrf_score(const ChrfStatistics& statistics, const ChrfOptions& options = {}, int references = 1) {
  options.validate();
  double precision = 0, recall = 0;
  int orders = 0;
  for (std::size_t n = 0; n < std::size_t{chrf_character_order} + static_cast<std::size_t>(options.word_order); ++n) {
    if (statistics.hypothesis[n] == 0 || statistics.reference[n] == 0) continue;
    const auto matches = static_cast<double>(statistics.matches[n]);
    precision += matches / static_cast<double>(statistics.hypothesis[n]);
    recall += matches / static_cast<double>(statistics.reference[n]);
    ++orders;
  }
  Chrf result{0, options, references};
  if (precision + recall > 0) {
    precision /= orders;
    recall /= orders;
    const double weight = double{1} * options.beta * options.beta;
    result.score = 100 * ((1 + weight) * precision * recall / (weight * precision + recall));
  }
  return result;
}

/// Statistics of one segment against that of its references (at least one) which gives it the best score.
/// \throws ConfigError without a reference.
template <class Text>
ChrfStatistics chrf_statistics(std::string_view hypothesis, std::span<const Text> references,
                               const ChrfOptions& options = {}) {
  options.validate();
  if (references.empty()) throw ConfigError("chrF needs at least one reference for a hypothesis, got 0");
  const auto ngrams = detail::chrf_ngrams(hypothesis, options.word_order);
  ChrfStatistics best;
  double best_score = -1;
  for (const auto& reference : references) {
    const auto statistics = detail::match_ngrams(ngrams, detail::chrf_ngrams(reference, options.word_order));
    if (const double score = chrf_score(statistics, options).score; score > best_score) {
      best_score = score;
      best = statistics;
    }
  }
  return best;
}

/// Statistics of each segment; `references[stream][segment]`.
/// \throws ConfigError for an empty corpus or no stream, ShapeError for unequal numbers of segments.
inline std::vector<ChrfStatistics> chrf_statistics(std::span<const std::string> hypotheses,
                                                   std::span<const std::span<const std::string>> references,
                                                   const ChrfOptions& options = {}) {
  detail::check_corpus("chrF", hypotheses.size(), references);
  std::vector<ChrfStatistics> result;
  result.reserve(hypotheses.size());
  std::vector<std::string_view> of_segment(references.size());
  for (std::size_t segment = 0; segment < hypotheses.size(); ++segment) {
    for (std::size_t stream = 0; stream < references.size(); ++stream) of_segment[stream] = references[stream][segment];
    result.push_back(chrf_statistics<std::string_view>(hypotheses[segment], of_segment, options));
  }
  return result;
}

/// Corpus chrF; `references[stream][segment]`. \throws as above.
inline Chrf corpus_chrf(std::span<const std::string> hypotheses,
                        std::span<const std::span<const std::string>> references, const ChrfOptions& options = {}) {
  ChrfStatistics sum;
  for (const auto& segment : chrf_statistics(hypotheses, references, options)) sum += segment;
  return chrf_score(sum, options, static_cast<int>(references.size()));
}

/// Corpus chrF against one reference for each hypothesis. \throws as above.
inline Chrf corpus_chrf(std::span<const std::string> hypotheses, std::span<const std::string> references,
                        const ChrfOptions& options = {}) {
  return corpus_chrf(hypotheses, std::span<const std::span<const std::string>>(&references, 1), options);
}

/// chrF of one sentence against its references. \throws ConfigError without a reference.
inline Chrf sentence_chrf(std::string_view hypothesis, std::span<const std::string> references,
                          const ChrfOptions& options = {}) {
  return chrf_score(chrf_statistics(hypothesis, references, options), options, static_cast<int>(references.size()));
}

}  // namespace neural_attention::metrics
