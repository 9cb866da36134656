// Definitions of what metrics/significance.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
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

NEURAL_ATTENTION_INLINE void check_paired(std::size_t first, std::size_t second, int repetitions) {
  if (first != second)
    throw ShapeError("a paired test needs the same segments from both systems, got " + std::to_string(first) + " and " +
                     std::to_string(second));
  if (first == 0) throw ConfigError("a paired test needs segments, got 0 from both systems");
  if (first > std::numeric_limits<std::uint32_t>::max())
    throw ConfigError("a paired test takes at most 4294967295 segments, got " + std::to_string(first));
  if (repetitions < 1) throw ConfigError("a paired test needs at least 1 sample, got " + std::to_string(repetitions));
}

}  // namespace detail

namespace detail {

/// Calls test(first, second, score).
inline auto by_bleu(std::span<const BleuStatistics> first, std::span<const BleuStatistics> second,
                    const BleuOptions& options, auto&& test) {
  return test(first, second, [&options](const BleuStatistics& sum) { return bleu_score(sum, options).score; });
}
inline auto by_chrf(std::span<const ChrfStatistics> first, std::span<const ChrfStatistics> second,
                    const ChrfOptions& options, auto&& test) {
  return test(first, second, [&options](const ChrfStatistics& sum) { return chrf_score(sum, options).score; });
}

/// The tests, with their number of repetitions and their seed.
inline auto bootstrap(int samples, std::uint64_t seed) {
  return [=](auto first, auto second, auto score) {
    return paired_bootstrap(first, second, score, samples, RandomStream(RandomKey{seed}));
  };
}
inline auto randomisation(int trials, std::uint64_t seed) {
  return [=](auto first, auto second, auto score) {
    return approximate_randomisation(first, second, score, trials, RandomStream(RandomKey{seed}));
  };
}

}  // namespace detail

NEURAL_ATTENTION_INLINE PairedBootstrap paired_bootstrap_bleu(std::span<const BleuStatistics> first,
                                                              std::span<const BleuStatistics> second,
                                                              const BleuOptions& options, int samples,
                                                              std::uint64_t seed) {
  return detail::by_bleu(first, second, options, detail::bootstrap(samples, seed));
}

NEURAL_ATTENTION_INLINE PairedBootstrap paired_bootstrap_bleu(std::span<const std::string> first,
                                                              std::span<const std::string> second,
                                                              std::span<const std::span<const std::string>> references,
                                                              const BleuOptions& options, int samples,
                                                              std::uint64_t seed) {
  return paired_bootstrap_bleu(bleu_statistics(first, references, options.tokenizer),
                               bleu_statistics(second, references, options.tokenizer), options, samples, seed);
}

NEURAL_ATTENTION_INLINE PairedBootstrap paired_bootstrap_bleu(std::span<const std::string> first,
                                                              std::span<const std::string> second,
                                                              std::span<const std::string> references,
                                                              const BleuOptions& options, int samples,
                                                              std::uint64_t seed) {
  return paired_bootstrap_bleu(first, second, std::span<const std::span<const std::string>>(&references, 1), options,
                               samples, seed);
}

NEURAL_ATTENTION_INLINE PairedBootstrap paired_bootstrap_chrf(std::span<const ChrfStatistics> first,
                                                              std::span<const ChrfStatistics> second,
                                                              const ChrfOptions& options, int samples,
                                                              std::uint64_t seed) {
  return detail::by_chrf(first, second, options, detail::bootstrap(samples, seed));
}

NEURAL_ATTENTION_INLINE PairedBootstrap paired_bootstrap_chrf(std::span<const std::string> first,
                                                              std::span<const std::string> second,
                                                              std::span<const std::span<const std::string>> references,
                                                              const ChrfOptions& options, int samples,
                                                              std::uint64_t seed) {
  return paired_bootstrap_chrf(chrf_statistics(first, references, options),
                               chrf_statistics(second, references, options), options, samples, seed);
}

NEURAL_ATTENTION_INLINE PairedBootstrap paired_bootstrap_chrf(std::span<const std::string> first,
                                                              std::span<const std::string> second,
                                                              std::span<const std::string> references,
                                                              const ChrfOptions& options, int samples,
                                                              std::uint64_t seed) {
  return paired_bootstrap_chrf(first, second, std::span<const std::span<const std::string>>(&references, 1), options,
                               samples, seed);
}

NEURAL_ATTENTION_INLINE ApproximateRandomisation approximate_randomisation_bleu(std::span<const BleuStatistics> first,
                                                                                std::span<const BleuStatistics> second,
                                                                                const BleuOptions& options, int trials,
                                                                                std::uint64_t seed) {
  return detail::by_bleu(first, second, options, detail::randomisation(trials, seed));
}

NEURAL_ATTENTION_INLINE ApproximateRandomisation
approximate_randomisation_bleu(std::span<const std::string> first, std::span<const std::string> second,
                               std::span<const std::span<const std::string>> references, const BleuOptions& options,
                               int trials, std::uint64_t seed) {
  return approximate_randomisation_bleu(bleu_statistics(first, references, options.tokenizer),
                                        bleu_statistics(second, references, options.tokenizer), options, trials, seed);
}

NEURAL_ATTENTION_INLINE ApproximateRandomisation approximate_randomisation_chrf(std::span<const ChrfStatistics> first,
                                                                                std::span<const ChrfStatistics> second,
                                                                                const ChrfOptions& options, int trials,
                                                                                std::uint64_t seed) {
  return detail::by_chrf(first, second, options, detail::randomisation(trials, seed));
}

NEURAL_ATTENTION_INLINE ApproximateRandomisation
approximate_randomisation_chrf(std::span<const std::string> first, std::span<const std::string> second,
                               std::span<const std::span<const std::string>> references, const ChrfOptions& options,
                               int trials, std::uint64_t seed) {
  return approximate_randomisation_chrf(chrf_statistics(first, references, options),
                                        chrf_statistics(second, references, options), options, trials, seed);
}

}  // namespace neural_attention::metrics
