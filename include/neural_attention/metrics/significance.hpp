// Two systems compared on one test set, by scores from summed statistics of segments.
// Paired bootstrap resampling (Koehn, "Statistical Significance Tests for Machine Translation Evaluation", 2004): draw
// segments with replacement, the same ones for both systems. The p value belongs to a two-sided test of "no
// difference". If c samples have a difference at least as far from the mean difference as the observed difference is
// from 0, p is (c + 1) / (samples + 1).
// Approximate randomisation (Riezler & Maxwell, "On Some Pitfalls in Automatic Evaluation and Significance Testing for
// MT", 2005): exchange the systems' outputs for each segment with probability 1/2. If c trials have a difference at
// least as large as the observed one, p is (c + 1) / (trials + 1).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/metrics/chrf.hpp"

namespace neural_attention::metrics {

/// One system under resampling, in the units of the score.
struct BootstrapEstimate {
  double score = 0;  ///< of the corpus itself
  double mean = 0;   ///< over the samples
  double lower = 0;  ///< of the 95% interval: one sample in 40 lies below
  double upper = 0;  ///< one sample in 40 lies above
};

struct PairedBootstrap {
  BootstrapEstimate first;
  BootstrapEstimate second;
  BootstrapEstimate difference;  ///< second - first
  /// In (0, 1]; 1 for equal systems. sacreBLEU's paired test centres absolute differences instead, so its p is usually
  /// smaller, and smallest for equal systems.
  double p_value = 1;
  int samples = 0;
};

namespace detail {

BootstrapEstimate estimate(double score, std::vector<double> samples);

/// Throws ShapeError for unequal numbers of segments, ConfigError for none, too many, or fewer than one `repetition`.
void check_paired(std::size_t first, std::size_t second, int repetitions);

template <class Statistics>
concept Subtracts = requires(Statistics sum, const Statistics& other) {
  sum -= other;
};

}  // namespace detail

/// Compares two systems by the statistics of their segments; segment i of both belongs to the same source.
/// `Statistics` starts at zero and has `+=`; `score(statistics)` is a number.
/// Throws ShapeError for unequal numbers of segments, ConfigError for none or for fewer than one sample.
template <class Statistics, class Score>
PairedBootstrap paired_bootstrap(std::span<const Statistics> first, std::span<const Statistics> second, Score score,
                                 int samples, RandomStream random) {
  detail::check_paired(first.size(), second.size(), samples);
  Statistics whole_first{}, whole_second{};
  for (std::size_t i = 0; i < first.size(); ++i) {
    whole_first += first[i];
    whole_second += second[i];
  }
  std::vector<double> first_scores, second_scores, differences;
  for (int sample = 0; sample < samples; ++sample) {
    Statistics sum_first{}, sum_second{};
    for (std::size_t drawn = 0; drawn < first.size(); ++drawn) {
      const auto i = random.below(static_cast<std::uint32_t>(first.size()));
      sum_first += first[i];
      sum_second += second[i];
    }
    first_scores.push_back(score(sum_first));
    second_scores.push_back(score(sum_second));
    differences.push_back(second_scores.back() - first_scores.back());
  }

  PairedBootstrap result;
  result.samples = samples;
  const double first_score = score(whole_first), second_score = score(whole_second);
  result.first = detail::estimate(first_score, std::move(first_scores));
  result.second = detail::estimate(second_score, std::move(second_scores));
  result.difference = detail::estimate(second_score - first_score, differences);
  const auto extreme = std::count_if(differences.begin(), differences.end(), [&result](double difference) {
    return std::abs(difference - result.difference.mean) >= std::abs(result.difference.score);
  });
  result.p_value = static_cast<double>(extreme + 1) / (samples + 1.0);
  return result;
}

struct ApproximateRandomisation {
  double difference = 0;  ///< second - first, in the units of the score
  double p_value = 1;     ///< in (0, 1]; 1 for equal systems
  int trials = 0;
};

/// Tests whether two systems differ; arguments and errors as for paired_bootstrap. Statistics of whole numbers that
/// have `-=` too make it faster.
template <class Statistics, class Score>
ApproximateRandomisation approximate_randomisation(std::span<const Statistics> first,
                                                   std::span<const Statistics> second, Score score, int trials,
                                                   RandomStream random) {
  detail::check_paired(first.size(), second.size(), trials);
  std::vector<Statistics> moves;  // what an exchange adds to the sum of the first system and takes from the other
  Statistics whole_first{}, whole_second{};
  if constexpr (detail::Subtracts<Statistics>) {
    moves.assign(second.begin(), second.end());
    for (std::size_t i = 0; i < first.size(); ++i) {
      moves[i] -= first[i];
      whole_first += first[i];
      whole_second += second[i];
    }
  }
  const auto difference = [&](auto&& exchanged) {
    Statistics sum_first{}, sum_second{};
    if constexpr (detail::Subtracts<Statistics>) {
      Statistics moved{};
      for (const auto& move : moves)
        if (exchanged()) moved += move;
      (sum_first = whole_first) += moved;
      (sum_second = whole_second) -= moved;
    } else {
      for (std::size_t i = 0; i < first.size(); ++i) {
        const bool swap = exchanged();
        sum_first += swap ? second[i] : first[i];
        sum_second += swap ? first[i] : second[i];
      }
    }
    return score(sum_second) - score(sum_first);
  };
  ApproximateRandomisation result;
  result.trials = trials;
  result.difference = difference([] { return false; });
  int as_large = 0;
  for (int trial = 0; trial < trials; ++trial)
    if (std::abs(difference([&] { return random.below(2) == 1; })) >= std::abs(result.difference)) ++as_large;
  result.p_value = (as_large + 1) / (trials + 1.0);
  return result;
}

/// paired_bootstrap for corpus BLEU of two systems' outputs; `references[stream][segment]`. The result is a function of
/// the texts, `options`, `samples` and `seed`. Throws as above and as corpus_bleu.
PairedBootstrap paired_bootstrap_bleu(std::span<const std::string> first, std::span<const std::string> second,
                                      std::span<const std::span<const std::string>> references,
                                      const BleuOptions& options = {}, int samples = 1000, std::uint64_t seed = 12345);

/// Against one reference for each segment.
PairedBootstrap paired_bootstrap_bleu(std::span<const std::string> first, std::span<const std::string> second,
                                      std::span<const std::string> references, const BleuOptions& options = {},
                                      int samples = 1000, std::uint64_t seed = 12345);

/// The same from the statistics of the segments, which were made with the tokenizer of `options`.
PairedBootstrap paired_bootstrap_bleu(std::span<const BleuStatistics> first, std::span<const BleuStatistics> second,
                                      const BleuOptions& options = {}, int samples = 1000, std::uint64_t seed = 12345);

/// The same for corpus chrF; `references[stream][segment]`.
PairedBootstrap paired_bootstrap_chrf(std::span<const std::string> first, std::span<const std::string> second,
                                      std::span<const std::span<const std::string>> references,
                                      const ChrfOptions& options = {}, int samples = 1000, std::uint64_t seed = 12345);

/// Against one reference for each segment.
PairedBootstrap paired_bootstrap_chrf(std::span<const std::string> first, std::span<const std::string> second,
                                      std::span<const std::string> references, const ChrfOptions& options = {},
                                      int samples = 1000, std::uint64_t seed = 12345);

/// From the statistics of the segments, which were made with `options`.
PairedBootstrap paired_bootstrap_chrf(std::span<const ChrfStatistics> first, std::span<const ChrfStatistics> second,
                                      const ChrfOptions& options = {}, int samples = 1000, std::uint64_t seed = 12345);

/// approximate_randomisation for corpus BLEU and corpus chrF of two systems' outputs; `references[stream][segment]`.
ApproximateRandomisation approximate_randomisation_bleu(std::span<const std::string> first,
                                                        std::span<const std::string> second,
                                                        std::span<const std::span<const std::string>> references,
                                                        const BleuOptions& options = {}, int trials = 10'000,
                                                        std::uint64_t seed = 12345);
ApproximateRandomisation approximate_randomisation_chrf(std::span<const std::string> first,
                                                        std::span<const std::string> second,
                                                        std::span<const std::span<const std::string>> references,
                                                        const ChrfOptions& options = {}, int trials = 10'000,
                                                        std::uint64_t seed = 12345);

/// The same from the statistics of the segments.
ApproximateRandomisation approximate_randomisation_bleu(std::span<const BleuStatistics> first,
                                                        std::span<const BleuStatistics> second,
                                                        const BleuOptions& options = {}, int trials = 10'000,
                                                        std::uint64_t seed = 12345);
ApproximateRandomisation approximate_randomisation_chrf(std::span<const ChrfStatistics> first,
                                                        std::span<const ChrfStatistics> second,
                                                        const ChrfOptions& options = {}, int trials = 10'000,
                                                        std::uint64_t seed = 12345);

}  // namespace neural_attention::metrics

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/metrics/impl/significance.hpp"
#endif
