// The instructions of tensor cores that kernels use, for g++: what each lane holds is as the PTX ISA says, and lanes
// meet in a shuffle, so a lane that does not come is an error as it is there.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "cuda/emulation.hpp"

namespace emulation {

inline int lane() { return static_cast<int>(threadIdx.x) % warp_size; }

/// What `value`, the same variable in each lane, is in lane `from`.
inline std::uint64_t of_lane(std::uint64_t value, int from) { return __shfl_sync(0xffffffffu, value, from); }

/// The left or upper number of a pair, and the other one.
inline float half_of(std::uint32_t pair, int which) {
  return std::bit_cast<float>(which == 0 ? pair << 16 : pair & 0xffff0000u);
}

/// mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 with C = D.
inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  const int row = lane() / 4, col = lane() % 4 * 2;
  const auto join = [](std::uint32_t low, std::uint32_t high) { return low | std::uint64_t{high} << 32; };
  // Lane 4 · row + k/2 holds A's elements k, k+1 and k+8, k+9 of rows `row` and `row` + 8; lane 4 · col + k/2 holds
  // B's.
  for (int k = 0; k < 8; k += 2) {
    const auto upper = of_lane(join(a[0], a[2]), 4 * row + k / 2), lower = of_lane(join(a[1], a[3]), 4 * row + k / 2);
    const auto left = of_lane(join(b[0], b[1]), 4 * col + k / 2),
               right = of_lane(join(b[0], b[1]), 4 * col + 4 + k / 2);
    for (int shift = 0; shift <= 32; shift += 32)
      for (int which = 0; which < 2; ++which) {
        const auto part = [&](std::uint64_t both) { return half_of(static_cast<std::uint32_t>(both >> shift), which); };
        d[0] += part(upper) * part(left);
        d[1] += part(upper) * part(right);
        d[2] += part(lower) * part(left);
        d[3] += part(lower) * part(right);
      }
  }
}

/// ldmatrix.sync.aligned.m8n8.x4.b16, with or without .trans.
inline void ldmatrix_x4(const void* row, bool transposed, std::uint32_t (&result)[4]) {
  const auto address = reinterpret_cast<std::uintptr_t>(row);
  if (address % 16 != 0) throw Error("ldmatrix of a row that does not lie at a multiple of 16 bytes");
  const auto element = [](std::uint64_t at, int i) {
    std::uint16_t bits;
    std::memcpy(&bits, reinterpret_cast<const std::uint16_t*>(at) + i, sizeof bits);
    return bits;
  };
  const int major = lane() / 4, minor = lane() % 4 * 2;
  for (int tile = 0; tile < 4; ++tile) {
    const auto first = of_lane(address, 8 * tile + (transposed ? minor : major));
    const auto second = of_lane(address, 8 * tile + (transposed ? minor + 1 : major));
    const std::uint32_t low = element(first, transposed ? major : minor);
    const std::uint32_t high = element(second, transposed ? major : minor + 1);
    result[tile] = low | high << 16;
  }
}

}  // namespace emulation
