// chrF (Popović, 2015) and chrF++ (2017) as sacreBLEU computes them: cased, character n-grams up to 6 of the text
// without white space, for chrF++ word n-grams too. P and R are means of the orders' precisions match_n / hypothesis_n
// and recalls match_n / reference_n, over the orders that both sides have n-grams for:
//   chrF_β = 100 (1 + β²) P R / (β² P + R)
// Each segment gives sufficient statistics; a corpus and a bootstrap sample are sums of them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/metrics/corpus.hpp"

namespace neural_attention::metrics {

inline constexpr int chrf_character_order = 6;
inline constexpr int chrf_largest_word_order = 2;

struct ChrfOptions {
  int word_order = 0;  ///< 0: chrF, 2: chrF++
  int beta = 2;        ///< recall weighs β times as much as precision

  /// Throws ConfigError for a word order that is not 0, 1 or 2, and for β < 1.
  void validate() const;
};

/// The statistics of a segment or of a sum of segments: numbers of n-grams, first of characters (n = 1 … 6), then of
/// words.
struct ChrfStatistics {
  using Counts = std::array<std::int64_t, chrf_character_order + chrf_largest_word_order>;
  Counts hypothesis{};  ///< n-grams of the hypothesis, 0 if the reference has none of this order
  Counts reference{};   ///< n-grams of the reference
  Counts matches{};     ///< n-grams of the hypothesis that the reference has too (clipped)

  ChrfStatistics& operator+=(const ChrfStatistics& other);
  ChrfStatistics& operator-=(const ChrfStatistics& other);
};

/// A chrF score with everything that a report should state.
struct Chrf {
  double score = 0;  ///< 0 to 100
  ChrfOptions options;
  int references = 1;  ///< reference streams

  /// `chrF2 = 55.12`, `chrF2++ = 53.40`. The process's locale has no influence.
  std::string format(int digits = 2) const;

  /// The settings of the score, in sacreBLEU's notation. The version names the sacreBLEU release that this
  /// implementation agrees with; sacreBLEU itself was not run.
  std::string signature() const;
};

namespace detail {

/// The n-grams of one order. Spaces, which no word contains, join the words of an n-gram.
using ChrfNgrams = std::unordered_map<std::string, std::int64_t>;

/// The n-grams of every order, in the order of ChrfStatistics.
std::vector<ChrfNgrams> chrf_ngrams(std::string_view segment, int word_order);

ChrfStatistics match_ngrams(const std::vector<ChrfNgrams>& hypothesis, const std::vector<ChrfNgrams>& reference);

}  // namespace detail

/// The score of summed statistics, which must have been made with the same `options`.
Chrf chrf_score(const ChrfStatistics& statistics, const ChrfOptions& options = {}, int references = 1);

/// Statistics of one segment against the reference that gives it the best score; needs at least one reference.
/// Throws ConfigError without a reference.
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
/// Throws ConfigError for an empty corpus or no stream, ShapeError for unequal numbers of segments.
std::vector<ChrfStatistics> chrf_statistics(std::span<const std::string> hypotheses,
                                            std::span<const std::span<const std::string>> references,
                                            const ChrfOptions& options = {});

/// Corpus chrF; `references[stream][segment]`. Throws as above.
Chrf corpus_chrf(std::span<const std::string> hypotheses, std::span<const std::span<const std::string>> references,
                 const ChrfOptions& options = {});

/// Corpus chrF against one reference for each hypothesis. Throws as above.
Chrf corpus_chrf(std::span<const std::string> hypotheses, std::span<const std::string> references,
                 const ChrfOptions& options = {});

/// chrF of one sentence against its references. Throws ConfigError without a reference.
Chrf sentence_chrf(std::string_view hypothesis, std::span<const std::string> references,
                   const ChrfOptions& options = {});

}  // namespace neural_attention::metrics

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/metrics/impl/chrf.hpp"
#endif
