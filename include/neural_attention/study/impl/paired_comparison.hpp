// Definitions of what study/paired_comparison.hpp declares.
#pragma once

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/non_central_t.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/study/paired_comparison.hpp"

namespace neural_attention::study {

namespace detail {

inline double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

inline double variance_of(std::span<const double> values) {
  const double mean = mean_of(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(values.size() - 1);
}

/// Numbers of at most 2 in size, and the power of two by which they were divided: squares and sums of any numbers stay
/// finite, and no bit of a result changes.
struct Scaled {
  std::vector<double> values;
  int exponent = 0;

  double original(double value) const { return std::ldexp(value, exponent); }
};

inline Scaled scaled(std::span<const double> first, std::span<const double> second = {}) {
  Scaled result;
  result.values.assign(first.begin(), first.end());
  result.values.insert(result.values.end(), second.begin(), second.end());
  double largest = 0;
  for (const double value : result.values) largest = std::max(largest, std::abs(value));
  if (largest > 0 && std::isfinite(largest)) result.exponent = std::ilogb(largest);
  for (double& value : result.values) value = std::ldexp(value, -result.exponent);
  return result;
}

/// The share of all choices of signs, or of those drawn, whose sum is at least as far from zero as the sum of all
/// differences. A choice and its opposite are equally far, so the last sign stays.
inline double sign_flip_p(std::span<const double> differences) {
  const double observed = std::abs(std::accumulate(differences.begin(), differences.end(), 0.0));
  // Sums of the same numbers in another order differ by rounding.
  double size = 0;
  for (const double difference : differences) size += std::abs(difference);
  const double limit = observed - 1e-12 * size;
  // Signs are the bits of words, 32 differences each.
  const auto is_as_far = [&](auto&& word_at) {
    double sum = 0;
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < differences.size(); ++i) {
      if (i % 32 == 0) word = word_at();
      sum += (word >> i % 32 & 1u) ? -differences[i] : differences[i];
    }
    return std::abs(sum) >= limit;
  };
  std::uint32_t as_far = 0;
  if (differences.size() <= static_cast<std::size_t>(PairedComparison::most_exact_pairs)) {
    const auto choices = std::uint32_t{1} << (differences.size() - 1);
    for (std::uint32_t signs = 0; signs < choices; ++signs) as_far += is_as_far([&] { return signs; });
    return static_cast<double>(as_far) / choices;
  }
  RandomStream random({.seed = 1});
  for (int drawn = 0; drawn < PairedComparison::drawn_signs; ++drawn)
    as_far += is_as_far([&] { return random.word(); });
  return (as_far + 1.0) / (PairedComparison::drawn_signs + 1.0);
}

/// Of a two-sided test on n pairs: how many standard errors from zero a mean must be.
inline double critical_t(int n, double level) {
  return boost::math::quantile(boost::math::complement(boost::math::students_t(n - 1), level / 2));
}

inline std::optional<int> pairs_needed(double difference, double deviation, double level) {
  constexpr double wanted = 0.8;
  int low = 1, high = PairedComparison::most_pairs;  // of which `low` are too few
  if (difference == 0.0 || power(high, difference, deviation, level) < wanted) return {};
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (power(middle, difference, deviation, level) < wanted ? low : high) = middle;
  }
  return high;
}

}  // namespace detail

NEURAL_ATTENTION_INLINE double least_sign_flip_p(int pairs) {
  return pairs <= PairedComparison::most_exact_pairs ? std::ldexp(1.0, 1 - pairs)
                                                     : 1.0 / (PairedComparison::drawn_signs + 1.0);
}

NEURAL_ATTENTION_INLINE double half_interval(int n, double deviation) {
  if (n < 2) throw ConfigError("an interval needs at least 2 numbers, got " + std::to_string(n));
  return detail::critical_t(n, 0.05) * deviation / std::sqrt(static_cast<double>(n));
}

NEURAL_ATTENTION_INLINE double power(int pairs, double difference, double deviation, double level) {
  if (pairs < 2) throw ConfigError("a paired test needs at least 2 pairs, got " + std::to_string(pairs));
  if (!std::isfinite(difference) || !std::isfinite(deviation) || deviation < 0)
    throw ConfigError("a test's power needs a finite difference and deviation, got " + number_text(difference) +
                      " and " + number_text(deviation));
  if (!(level > 0 && level < 1))
    throw ConfigError("a test's level must lie between 0 and 1, not " + number_text(level));
  if (difference == 0.0) return level;
  if (deviation == 0.0) return 1.0;
  const double shift = std::abs(difference) / deviation * std::sqrt(static_cast<double>(pairs));
  const double critical = detail::critical_t(pairs, level);
  constexpr double most = 35;  // the distribution's series do not converge much farther away
  if (shift > most) {          // the normal number in the numerator of t varies by 1, which is little beside the shift
    const double bound = (pairs - 1) * (shift / critical) * (shift / critical);
    return std::isfinite(bound) ? boost::math::cdf(boost::math::chi_squared(pairs - 1), bound) : 1.0;
  }
  const boost::math::non_central_t distribution(pairs - 1, shift);
  return boost::math::cdf(boost::math::complement(distribution, critical)) + boost::math::cdf(distribution, -critical);
}

NEURAL_ATTENTION_INLINE PairedComparison compare_pairs(std::span<const double> control, std::span<const double> arm,
                                                       int comparisons) {
  if (comparisons < 1) throw ConfigError("a comparison is one of at least 1, not " + std::to_string(comparisons));
  if (control.size() != arm.size())
    throw ShapeError("arms are compared by scores of the same seeds, got " + std::to_string(control.size()) + " and " +
                     std::to_string(arm.size()));
  if (arm.size() < 2 || arm.size() > static_cast<std::size_t>(PairedComparison::most_pairs))
    throw ConfigError("arms are compared by 2 to " + std::to_string(PairedComparison::most_pairs) +
                      " pairs of scores, got " + std::to_string(arm.size()));
  std::vector<double> differences;
  for (std::size_t i = 0; i < arm.size(); ++i) {
    differences.push_back(arm[i] - control[i]);
    if (!std::isfinite(differences.back()))
      throw ConfigError("pair " + std::to_string(i + 1) + " has no finite scores: " + number_text(control[i]) +
                        " and " + number_text(arm[i]));
  }
  PairedComparison result;
  result.pairs = static_cast<int>(arm.size());
  const auto scaled = detail::scaled(differences);
  const double difference = detail::mean_of(scaled.values);
  const double deviation = std::sqrt(detail::variance_of(scaled.values));
  const double half = half_interval(result.pairs, deviation);
  result.difference = scaled.original(difference);
  result.deviation = scaled.original(deviation);
  result.lower = scaled.original(difference - half);
  result.upper = scaled.original(difference + half);
  if (difference != 0.0) {
    const double t = std::abs(difference) / deviation * std::sqrt(static_cast<double>(result.pairs));
    result.p_value = std::isfinite(t)
                         ? 2 * boost::math::cdf(boost::math::complement(boost::math::students_t(result.pairs - 1), t))
                         : 0.0;
  }
  result.sign_flip_p = detail::sign_flip_p(scaled.values);
  result.least_sign_flip_p = least_sign_flip_p(result.pairs);
  const auto scores = detail::scaled(control, arm);
  const auto both = std::span(scores.values);
  const double seeds =
      std::sqrt((detail::variance_of(both.first(control.size())) + detail::variance_of(both.last(arm.size()))) / 2);
  result.seed_deviation = scores.original(seeds);
  if (difference != 0.0) result.effect = std::ldexp(difference / seeds, scaled.exponent - scores.exponent);
  result.pairs_needed = detail::pairs_needed(difference, deviation, 0.05 / comparisons);
  return result;
}

NEURAL_ATTENTION_INLINE std::vector<double> holm(std::span<const double> p_values) {
  for (const double p : p_values)
    if (!(p >= 0 && p <= 1)) throw ConfigError("a p value must lie from 0 to 1, not " + number_text(p));
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p_values[a] < p_values[b]; });
  std::vector<double> corrected(p_values.size());
  double least = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    least = std::max(least, std::min(1.0, static_cast<double>(order.size() - rank) * p_values[order[rank]]));
    corrected[order[rank]] = least;
  }
  return corrected;
}

}  // namespace neural_attention::study
