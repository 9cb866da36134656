// Two arms of an experiment, compared by their scores under the same seeds. A seed sets the data's order in both arms,
// so only the differences of the pairs vary. Student's t test on these decides ("The probable error of a mean",
// 1908); the sign-flip test, which assumes no distribution but symmetry (Fisher, "The Design of Experiments", 1935),
// stands beside it with the smallest p that so few seeds allow. With many seeds it is an estimate.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace neural_attention::study {

/// What n ≥ 2 pairs of scores say about arm - control. Everything is in the units of the score, except p values, the
/// effect, and numbers of seeds.
struct PairedComparison {
  int pairs = 0;
  double difference = 0;  ///< the mean of arm - control
  double deviation = 0;   ///< the sample deviation (n - 1) of the differences
  double lower = 0;       ///< of the mean's 95 % interval, by Student's distribution
  double upper = 0;       ///< of the same
  double p_value = 1;     ///< of the two-sided paired t test; 0 if all differences are one number other than zero
  /// The share of all 2ⁿ choices of signs whose mean is at least as far from zero. For more than most_exact_pairs, of
  /// drawn_signs random ones, always the same, and the observed one (Phipson and Smyth, "Permutation p-values should
  /// never be zero", 2010).
  double sign_flip_p = 1;
  double least_sign_flip_p = 1;  ///< below which that test cannot go: 2 / 2ⁿ, or 1 / (drawn_signs + 1)
  /// How much a score varies from seed to seed: the root mean square of the two arms' deviations.
  double seed_deviation = 0;
  /// The difference in seed deviations; infinite if there is a difference and nothing varies.
  double effect = 0;
  /// Pairs with which a t test finds a difference of this size in 4 of 5 experiments, if the differences vary as they
  /// do here; none if there is no difference or more than most_pairs would be necessary. Its level is the hardest that
  /// Holm's correction of several comparisons has: 0.05 / comparisons.
  std::optional<int> pairs_needed;

  static constexpr int most_pairs = 1000;      ///< of a comparison
  static constexpr int most_exact_pairs = 20;  ///< of which all choices of signs are tried
  static constexpr int drawn_signs = 99999;
};

/// The smallest p of the sign-flip test with so many pairs.
double least_sign_flip_p(int pairs);

/// Compares the scores of an arm with those of the control; score i of both has the same seed. It is one of so many
/// comparisons, which only pairs_needed takes into account. Throws ShapeError for different numbers of scores,
/// ConfigError for fewer than 2 or more than most_pairs, if one is not finite, or for comparisons < 1.
PairedComparison compare_pairs(std::span<const double> control, std::span<const double> arm, int comparisons = 1);

/// Half the width of the 95 % interval of a mean of n ≥ 2 numbers with this sample deviation. Throws ConfigError for
/// fewer.
double half_interval(int n, double deviation);

/// The chance that a two-sided t test at `level` on n ≥ 2 pairs finds a true mean difference, given the deviation of
/// the differences: 1 if that is 0. Throws ConfigError if an argument has no meaning.
double power(int pairs, double difference, double deviation, double level = 0.05);

/// Holm's correction of p values for several comparisons ("A simple sequentially rejective multiple test procedure",
/// 1979), in the order of `p_values`. Throws ConfigError for one outside [0, 1].
std::vector<double> holm(std::span<const double> p_values);

}  // namespace neural_attention::study

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/study/impl/paired_comparison.hpp"
#endif
