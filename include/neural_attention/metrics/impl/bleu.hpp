// Definitions of what metrics/bleu.hpp declares.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/metrics/corpus.hpp"
#include "neural_attention/metrics/tokenizers.hpp"

namespace neural_attention::metrics {

NEURAL_ATTENTION_INLINE BleuStatistics& BleuStatistics::operator+=(const BleuStatistics& other) {
  for (std::size_t n = 0; n < counts.size(); ++n) {
    counts[n] += other.counts[n];
    totals[n] += other.totals[n];
  }
  sys_len += other.sys_len;
  ref_len += other.ref_len;
  return *this;
}

NEURAL_ATTENTION_INLINE BleuStatistics& BleuStatistics::operator-=(const BleuStatistics& other) {
  for (std::size_t n = 0; n < counts.size(); ++n) {
    counts[n] -= other.counts[n];
    totals[n] -= other.totals[n];
  }
  sys_len -= other.sys_len;
  ref_len -= other.ref_len;
  return *this;
}

NEURAL_ATTENTION_INLINE std::string Bleu::signature() const {
  return "nrefs:" + std::to_string(references) + "|case:mixed|eff:" + (options.effective_order ? "yes" : "no") +
         "|tok:" + std::string(bleu_tokenizer_name(options.tokenizer)) + "|smooth:exp|version:2.4.3";
}

namespace detail {

NEURAL_ATTENTION_INLINE std::vector<int> number_words(std::string_view segment, BleuTokenizer tokenizer, Words& words) {
  std::vector<int> ids;
  for (auto& token : tokenize(segment, tokenizer))
    ids.push_back(words.try_emplace(std::move(token), static_cast<int>(words.size())).first->second);
  return ids;
}

NEURAL_ATTENTION_INLINE NgramCounts count_ngrams(const std::vector<int>& ids) {
  NgramCounts result;
  for (std::size_t start = 0; start < ids.size(); ++start) {
    std::array<int, bleu_order> ngram;
    ngram.fill(-1);
    for (std::size_t n = 0; n < ngram.size() && start + n < ids.size(); ++n) {
      ngram[n] = ids[start + n];
      ++result[ngram];
    }
  }
  return result;
}

}  // namespace detail

NEURAL_ATTENTION_INLINE std::vector<BleuStatistics> bleu_statistics(
    std::span<const std::string> hypotheses, std::span<const std::span<const std::string>> references,
    BleuTokenizer tokenizer) {
  detail::check_corpus("BLEU", hypotheses.size(), references);
  std::vector<BleuStatistics> result;
  result.reserve(hypotheses.size());
  std::vector<std::string_view> of_segment(references.size());
  for (std::size_t segment = 0; segment < hypotheses.size(); ++segment) {
    for (std::size_t stream = 0; stream < references.size(); ++stream) of_segment[stream] = references[stream][segment];
    result.push_back(bleu_statistics<std::string_view>(hypotheses[segment], of_segment, tokenizer));
  }
  return result;
}

NEURAL_ATTENTION_INLINE Bleu bleu_score(const BleuStatistics& statistics, const BleuOptions& options, int references) {
  Bleu result;
  result.sys_len = statistics.sys_len;
  result.ref_len = statistics.ref_len;
  result.counts = statistics.counts;
  result.totals = statistics.totals;
  result.options = options;
  result.references = references;
  result.brevity_penalty = 1;
  if (result.sys_len < result.ref_len) {
    const auto sys_len = static_cast<double>(result.sys_len);
    result.brevity_penalty = result.sys_len == 0 ? 0.0 : std::exp(1.0 - static_cast<double>(result.ref_len) / sys_len);
  }
  const auto matches = [](std::int64_t count) { return count > 0; };
  if (std::none_of(result.counts.begin(), result.counts.end(), matches)) return result;

  double smoothing = 1, log_sum = 0;
  int orders = 0;
  for (std::size_t n = 0; n < result.totals.size() && result.totals[n] > 0; ++n, ++orders) {
    const auto total = static_cast<double>(result.totals[n]);
    if (result.counts[n] > 0) {
      result.precisions[n] = 100.0 * static_cast<double>(result.counts[n]) / total;
    } else {
      smoothing *= 2;
      result.precisions[n] = 100.0 / (smoothing * total);
    }
    log_sum += std::log(result.precisions[n]);
  }
  if (orders == bleu_order || options.effective_order)
    result.score = result.brevity_penalty * std::exp(log_sum / orders);
  return result;
}

NEURAL_ATTENTION_INLINE Bleu corpus_bleu(std::span<const std::string> hypotheses,
                                         std::span<const std::span<const std::string>> references,
                                         const BleuOptions& options) {
  BleuStatistics sum;
  for (const auto& segment : bleu_statistics(hypotheses, references, options.tokenizer)) sum += segment;
  return bleu_score(sum, options, static_cast<int>(references.size()));
}

NEURAL_ATTENTION_INLINE Bleu corpus_bleu(std::span<const std::string> hypotheses,
                                         std::span<const std::string> references, const BleuOptions& options) {
  return corpus_bleu(hypotheses, std::span<const std::span<const std::string>>(&references, 1), options);
}

NEURAL_ATTENTION_INLINE Bleu sentence_bleu(std::string_view hypothesis, std::span<const std::string> references,
                                           BleuTokenizer tokenizer) {
  return bleu_score(bleu_statistics(hypothesis, references, tokenizer), {tokenizer, true},
                    static_cast<int>(references.size()));
}

NEURAL_ATTENTION_INLINE Bleu sentence_bleu(std::string_view hypothesis, std::string_view reference,
                                           BleuTokenizer tokenizer) {
  return bleu_score(bleu_statistics(hypothesis, std::span<const std::string_view>(&reference, 1), tokenizer),
                    {tokenizer, true});
}

NEURAL_ATTENTION_INLINE std::string Bleu::format(int digits) const {
  std::string line = "BLEU = " + detail::fixed(score, std::clamp(digits, 0, 17));
  for (std::size_t n = 0; n < precisions.size(); ++n) line += (n == 0 ? ' ' : '/') + detail::fixed(precisions[n], 1);
  return line + " (BP = " + detail::fixed(brevity_penalty, 3) + " ratio = " + detail::fixed(ratio(), 3) +
         " hyp_len = " + std::to_string(sys_len) + " ref_len = " + std::to_string(ref_len) + ")";
}

}  // namespace neural_attention::metrics
