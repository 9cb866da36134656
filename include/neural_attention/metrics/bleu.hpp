// BLEU (Papineni et al., 2002) as sacreBLEU computes it: cased, tokens of one of its tokenizers (13a by default),
// n-grams up to 4, one or more references, exponential smoothing (the k-th order without a match counts as 1/2^k
// matches):
//   BLEU = BP * exp(mean over n of log p_n),  BP = exp(1 - ref_len / sys_len) if sys_len < ref_len, else 1.
// Each segment gives sufficient statistics; a corpus, a sentence and a bootstrap sample are sums of them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/metrics/corpus.hpp"
#include "neural_attention/metrics/tokenizers.hpp"

namespace neural_attention::metrics {

inline constexpr int bleu_order = 4;

struct BleuOptions {
  BleuTokenizer tokenizer = BleuTokenizer::Mteval13a;
  /// The mean of log precisions covers only the orders for which the hypothesis has n-grams (for sentences); otherwise
  /// a hypothesis without any 4-gram scores 0.
  bool effective_order = false;
};

/// The BLEU statistics of a segment or of a sum of segments. Index n-1 holds the counts of n-grams.
struct BleuStatistics {
  std::array<std::int64_t, bleu_order> counts{};  ///< n-grams of the hypothesis that a reference has too (clipped)
  std::array<std::int64_t, bleu_order> totals{};  ///< n-grams of the hypothesis
  std::int64_t sys_len = 0;                       ///< tokens of the hypothesis
  std::int64_t ref_len = 0;                       ///< tokens of the reference nearest in length, the shorter of two

  BleuStatistics& operator+=(const BleuStatistics& other);
  BleuStatistics& operator-=(const BleuStatistics& other);
};

/// A BLEU score, 0 to 100, with everything that a report should state.
struct Bleu {
  double score = 0;                             ///< 0 to 100
  std::array<double, bleu_order> precisions{};  ///< 0 to 100, smoothed; all 0 if nothing matches
  double brevity_penalty = 0;                   ///< 0 to 1
  std::int64_t sys_len = 0;                     ///< tokens
  std::int64_t ref_len = 0;                     ///< tokens
  std::array<std::int64_t, bleu_order> counts{};
  std::array<std::int64_t, bleu_order> totals{};
  BleuOptions options;
  int references = 1;  ///< reference streams

  /// sys_len / ref_len, 0 for empty references.
  double ratio() const { return ref_len == 0 ? 0.0 : static_cast<double>(sys_len) / static_cast<double>(ref_len); }

  /// One line in sacreBLEU's layout: `BLEU = 35.60 68.1/42.9/29.0/19.9 (BP = 0.970 ratio = 0.970 hyp_len = … )`.
  /// `digits` are the decimals of the score. The process's locale has no influence.
  std::string format(int digits = 2) const;

  /// The settings of the score, in sacreBLEU's notation. The version names the sacreBLEU release that this
  /// implementation agrees with; sacreBLEU itself was not run.
  std::string signature() const;
};

namespace detail {

/// Counts of the n-grams of one segment; shorter n-grams are padded with -1.
using NgramCounts = std::map<std::array<int, bleu_order>, std::int64_t>;

/// Maps words to numbers, so that n-grams compare as numbers.
using Words = std::unordered_map<std::string, int>;

std::vector<int> number_words(std::string_view segment, BleuTokenizer tokenizer, Words& words);

NgramCounts count_ngrams(const std::vector<int>& ids);

}  // namespace detail

/// Statistics of one segment against all of its references (at least one).
/// Throws ConfigError without a reference.
template <class Text>
BleuStatistics bleu_statistics(std::string_view hypothesis, std::span<const Text> references,
                               BleuTokenizer tokenizer = BleuTokenizer::Mteval13a) {
  if (references.empty()) throw ConfigError("BLEU needs at least one reference for a hypothesis, got 0");
  detail::Words words;
  const auto ids = detail::number_words(hypothesis, tokenizer, words);
  BleuStatistics result;
  result.sys_len = static_cast<std::int64_t>(ids.size());

  detail::NgramCounts reference_counts;  // for each n-gram its largest count in any reference
  std::int64_t nearest = -1;
  for (const auto& reference : references) {
    const auto reference_ids = detail::number_words(reference, tokenizer, words);
    for (const auto& [ngram, count] : detail::count_ngrams(reference_ids)) {
      auto& known = reference_counts[ngram];
      known = std::max(known, count);
    }
    const auto length = static_cast<std::int64_t>(reference_ids.size());
    const auto distance = std::abs(length - result.sys_len);
    if (nearest < 0 || distance < nearest || (distance == nearest && length < result.ref_len)) {
      nearest = distance;
      result.ref_len = length;
    }
  }

  for (const auto& [ngram, count] : detail::count_ngrams(ids)) {
    const auto order = static_cast<std::size_t>(std::find(ngram.begin(), ngram.end(), -1) - ngram.begin()) - 1;
    result.totals[order] += count;
    if (const auto found = reference_counts.find(ngram); found != reference_counts.end())
      result.counts[order] += std::min(count, found->second);
  }
  return result;
}

/// Statistics of each segment; `references[stream][segment]`.
/// Throws ConfigError for an empty corpus or no stream, ShapeError for unequal numbers of segments.
std::vector<BleuStatistics> bleu_statistics(std::span<const std::string> hypotheses,
                                            std::span<const std::span<const std::string>> references,
                                            BleuTokenizer tokenizer = BleuTokenizer::Mteval13a);

/// The score of summed statistics, which must have been made with the tokenizer of `options`.
Bleu bleu_score(const BleuStatistics& statistics, const BleuOptions& options = {}, int references = 1);

/// Corpus BLEU against one or more reference streams; `references[stream][segment]`.
/// Throws ConfigError for an empty corpus or no stream, ShapeError for unequal numbers of segments.
Bleu corpus_bleu(std::span<const std::string> hypotheses, std::span<const std::span<const std::string>> references,
                 const BleuOptions& options = {});

/// Corpus BLEU against one reference for each hypothesis. Throws as above.
Bleu corpus_bleu(std::span<const std::string> hypotheses, std::span<const std::string> references,
                 const BleuOptions& options = {});

/// BLEU of one sentence against its references, with effective order. Throws ConfigError without a reference.
Bleu sentence_bleu(std::string_view hypothesis, std::span<const std::string> references,
                   BleuTokenizer tokenizer = BleuTokenizer::Mteval13a);

/// BLEU of one sentence against one reference, with effective order.
Bleu sentence_bleu(std::string_view hypothesis, std::string_view reference,
                   BleuTokenizer tokenizer = BleuTokenizer::Mteval13a);

}  // namespace neural_attention::metrics

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/metrics/impl/bleu.hpp"
#endif
