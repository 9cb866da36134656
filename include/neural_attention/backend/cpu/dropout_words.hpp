// Philox words for many neighbouring element blocks at once, bit for bit equal to RandomKey::words. 32 counters go
// through the rounds side by side, in loops that compilers vectorise.
#pragma once

#include <algorithm>
#include <cstdint>

#include "neural_attention/core/random.hpp"

namespace neural_attention {
namespace cpu_dropout {

inline constexpr int lanes = 32;  ///< g++ unrolls a loop of 16 before it can vectorise it

/// words[4 i + j] = key.words(row, first_block + i)[j] for i < 32.
inline void philox_lanes(const RandomKey& key, std::uint32_t row, std::uint32_t first_block, std::uint32_t* words) {
  std::uint32_t a[lanes], b[lanes], c[lanes], d[lanes];
  for (int i = 0; i < lanes; ++i) {
    a[i] = row;
    b[i] = first_block + static_cast<std::uint32_t>(i);
    c[i] = key.step;
    d[i] = key.site;
  }
  auto low_key = static_cast<std::uint32_t>(key.seed), high_key = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < lanes; ++i) {
      const std::uint64_t first = std::uint64_t{0xD2511F53u} * a[i];
      const std::uint64_t second = std::uint64_t{0xCD9E8D57u} * c[i];
      a[i] = static_cast<std::uint32_t>(second >> 32) ^ b[i] ^ low_key;
      b[i] = static_cast<std::uint32_t>(second);
      c[i] = static_cast<std::uint32_t>(first >> 32) ^ d[i] ^ high_key;
      d[i] = static_cast<std::uint32_t>(first);
    }
    low_key += 0x9E3779B9u;
    high_key += 0xBB67AE85u;
  }
  for (int i = 0; i < lanes; ++i) {
    words[4 * i] = a[i];
    words[4 * i + 1] = b[i];
    words[4 * i + 2] = c[i];
    words[4 * i + 3] = d[i];
  }
}

}  // namespace cpu_dropout

/// words[4 i + j] = key.words(row, first_block + i)[j] for i < blocks: the words of 4 · blocks neighbouring elements.
inline void keep_words(const RandomKey& key, std::uint32_t row, std::uint32_t first_block, int blocks,
                       std::uint32_t* words) {
  int i = 0;
  for (; i + cpu_dropout::lanes <= blocks; i += cpu_dropout::lanes)
    cpu_dropout::philox_lanes(key, row, first_block + static_cast<std::uint32_t>(i), words + 4 * i);
  if (i == blocks) return;
  std::uint32_t last[4 * cpu_dropout::lanes];
  cpu_dropout::philox_lanes(key, row, first_block + static_cast<std::uint32_t>(i), last);
  std::copy_n(last, 4 * (blocks - i), words + 4 * i);
}

}  // namespace neural_attention
