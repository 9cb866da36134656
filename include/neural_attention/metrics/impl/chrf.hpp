// Definitions of what metrics/chrf.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/metrics/chrf.hpp"
#include "neural_attention/metrics/corpus.hpp"

namespace neural_attention::metrics {

NEURAL_ATTENTION_INLINE void ChrfOptions::validate() const {
  if (word_order < 0 || word_order > chrf_largest_word_order)
    throw ConfigError("chrF's word order must be 0, 1 or 2, not " + std::to_string(word_order));
  if (beta < 1 || beta > 1000) throw ConfigError("chrF's beta must be 1 to 1000, not " + std::to_string(beta));
}

NEURAL_ATTENTION_INLINE ChrfStatistics& ChrfStatistics::operator+=(const ChrfStatistics& other) {
  for (std::size_t n = 0; n < matches.size(); ++n) {
    hypothesis[n] += other.hypothesis[n];
    reference[n] += other.reference[n];
    matches[n] += other.matches[n];
  }
  return *this;
}

NEURAL_ATTENTION_INLINE ChrfStatistics& ChrfStatistics::operator-=(const ChrfStatistics& other) {
  for (std::size_t n = 0; n < matches.size(); ++n) {
    hypothesis[n] -= other.hypothesis[n];
    reference[n] -= other.reference[n];
    matches[n] -= other.matches[n];
  }
  return *this;
}

NEURAL_ATTENTION_INLINE std::string Chrf::format(int digits) const {
  return "chrF" + std::to_string(options.beta) + std::string(static_cast<std::size_t>(options.word_order), '+') +
         " = " + detail::fixed(score, std::clamp(digits, 0, 17));
}

NEURAL_ATTENTION_INLINE std::string Chrf::signature() const {
  return "nrefs:" + std::to_string(references) + "|case:mixed|eff:yes|nc:6|nw:" + std::to_string(options.word_order) +
         "|space:no|version:2.4.3";
}

namespace detail {

/// One segment taken apart: its characters without white space and, if they count, its words.
struct ChrfText {
  std::string characters;
  std::vector<std::size_t> starts;  // of each character, then the end
  std::vector<std::string> words;
};

constexpr bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/// A punctuation mark at the end of a word, or else one at its beginning, becomes a word of its own.
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

NEURAL_ATTENTION_INLINE std::vector<ChrfNgrams> chrf_ngrams(std::string_view segment, int word_order) {
  const auto text = chrf_text(segment, word_order > 0);
  std::vector<ChrfNgrams> ngrams;
  for (std::size_t n = 1; n <= std::size_t{chrf_character_order}; ++n) ngrams.push_back(character_ngrams(text, n));
  for (std::size_t n = 1; n <= static_cast<std::size_t>(word_order); ++n) ngrams.push_back(word_ngrams(text, n));
  return ngrams;
}

NEURAL_ATTENTION_INLINE ChrfStatistics match_ngrams(const std::vector<ChrfNgrams>& hypothesis,
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

NEURAL_ATTENTION_INLINE Chrf chrf_score(const ChrfStatistics& statistics, const ChrfOptions& options, int references) {
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

NEURAL_ATTENTION_INLINE std::vector<ChrfStatistics> chrf_statistics(
    std::span<const std::string> hypotheses, std::span<const std::span<const std::string>> references,
    const ChrfOptions& options) {
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

NEURAL_ATTENTION_INLINE Chrf corpus_chrf(std::span<const std::string> hypotheses,
                                         std::span<const std::span<const std::string>> references,
                                         const ChrfOptions& options) {
  ChrfStatistics sum;
  for (const auto& segment : chrf_statistics(hypotheses, references, options)) sum += segment;
  return chrf_score(sum, options, static_cast<int>(references.size()));
}

NEURAL_ATTENTION_INLINE Chrf corpus_chrf(std::span<const std::string> hypotheses,
                                         std::span<const std::string> references, const ChrfOptions& options) {
  return corpus_chrf(hypotheses, std::span<const std::span<const std::string>>(&references, 1), options);
}

NEURAL_ATTENTION_INLINE Chrf sentence_chrf(std::string_view hypothesis, std::span<const std::string> references,
                                           const ChrfOptions& options) {
  return chrf_score(chrf_statistics(hypothesis, references, options), options, static_cast<int>(references.size()));
}

}  // namespace neural_attention::metrics
