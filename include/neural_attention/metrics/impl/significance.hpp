// Definitions of what metrics/significance.hpp declares.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/metrics/chrf.hpp"
#include "neural_attention/metrics/significance.hpp"

namespace neural_attention::metrics {

namespace detail {

NEURAL_ATTENTION_INLINE BootstrapEstimate estimate(double score, std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const auto tail = samples.size() / 40;
  const double sum = std::accumulate(samples.begin(), samples.end(), 0.0);
  return {score, sum / static_cast<double>(samples.size()), samples[tail], samples[samples.size() - 1 - tail]};
}

}  // namespace detail

NEURAL_ATTENTION_INLINE PairedBootstrap paired_bootstrap_bleu(std::span<const std::string> first,
                                                              std::span<const std::string> second,
                                                              std::span<const std::span<const std::string>> references,
                                                              const BleuOptions& options, int samples,
                                                              std::uint64_t seed) {
  const auto first_statistics = bleu_statistics(first, references, options.tokenizer);
  const auto second_statistics = bleu_statistics(second, references, options.tokenizer);
  const auto score = [&options](const BleuStatistics& sum) { return bleu_score(sum, options).score; };
  return paired_bootstrap<BleuStatistics>(first_statistics, second_statistics, score, samples,
                                          RandomStream(RandomKey{seed}));
}

NEURAL_ATTENTION_INLINE PairedBootstrap paired_bootstrap_bleu(std::span<const std::string> first,
                                                              std::span<const std::string> second,
                                                              std::span<const std::string> references,
                                                              const BleuOptions& options, int samples,
                                                              std::uint64_t seed) {
  return paired_bootstrap_bleu(first, second, std::span<const std::span<const std::string>>(&references, 1), options,
                               samples, seed);
}

NEURAL_ATTENTION_INLINE PairedBootstrap paired_bootstrap_chrf(std::span<const std::string> first,
                                                              std::span<const std::string> second,
                                                              std::span<const std::span<const std::string>> references,
                                                              const ChrfOptions& options, int samples,
                                                              std::uint64_t seed) {
  const auto first_statistics = chrf_statistics(first, references, options);
  const auto second_statistics = chrf_statistics(second, references, options);
  const auto score = [&options](const ChrfStatistics& sum) { return chrf_score(sum, options).score; };
  return paired_bootstrap<ChrfStatistics>(first_statistics, second_statistics, score, samples,
                                          RandomStream(RandomKey{seed}));
}

NEURAL_ATTENTION_INLINE PairedBootstrap paired_bootstrap_chrf(std::span<const std::string> first,
                                                              std::span<const std::string> second,
                                                              std::span<const std::string> references,
                                                              const ChrfOptions& options, int samples,
                                                              std::uint64_t seed) {
  return paired_bootstrap_chrf(first, second, std::span<const std::span<const std::string>>(&references, 1), options,
                               samples, seed);
}

}  // namespace neural_attention::metrics
