// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
// A number is a pure function of (seed, stream, four counters). There is no state to save: recomputation, another
// backend, another number of threads and another split into batches all draw the same numbers.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// Four random words for a 128-bit counter under a 64-bit key.
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(second),
               static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(first)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// A 32-bit word to a double in [0, 1).
constexpr double unit_interval(std::uint32_t word) { return word * 0x1p-32; }

/// The smallest word that dropout keeps: word >= keep_threshold(rate) is equivalent to unit_interval(word) >= rate.
inline std::uint32_t keep_threshold(double rate) {
  return static_cast<std::uint32_t>(std::min(std::ceil(rate * 0x1p32), 0x1p32 - 1));
}

/// One named source of random numbers. `seed` belongs to the run; `step` (the optimizer step) and `site` (the dropout)
/// say when and where a number is drawn; the caller's `row` and `block` say for which element.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t site = 0;

  /// The words for block `block` (four neighbouring elements) of row `row`.
  constexpr std::array<std::uint32_t, 4> words(std::uint32_t row, std::uint32_t block) const {
    return philox({row, block, step, site}, {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  }
};

/// A sequence of draws under one key, for choices on the host (shuffles, initial weights). Its only state is its
/// position.
class RandomStream {
 public:
  explicit constexpr RandomStream(RandomKey key) : key_(key) {}

  constexpr std::uint32_t word() {
    const auto slot = position_ % 4;
    if (slot == 0) {
      const auto index = position_ / 4;
      block_ = key_.words(static_cast<std::uint32_t>(index >> 32), static_cast<std::uint32_t>(index));
    }
    ++position_;
    return block_[slot];
  }

  /// Uniform in [0, 1).
  constexpr double uniform() { return unit_interval(word()); }

  /// Uniform in {0, …, bound-1}, bound ≥ 1, by multiply and reject; unbiased.
  constexpr std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = std::uint64_t{word()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t threshold = -bound % bound;
      while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{word()} * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  /// Standard normal, Box-Muller.
  double normal() {
    const double u = 1.0 - uniform();  // (0, 1]
    const double v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
  }

  /// Fisher-Yates shuffle of any random-access container.
  template <class Container>
  constexpr void shuffle(Container& items) {
    using std::swap;
    for (auto i = items.size(); i > 1; --i) swap(items[i - 1], items[below(static_cast<std::uint32_t>(i))]);
  }

 private:
  RandomKey key_;
  std::uint64_t position_ = 0;
  std::array<std::uint32_t, 4> block_{};
};

}  // namespace neural_attention
