// Tensor cores, one warp at a time: D [16, 8] += A [16, 16] B [16, 8], A and B bfloat16, D float. Each lane holds a few
// elements of each (PTX ISA, "Matrix Fragments for mma.m16n8k16"): with g = lane / 4 and p = 2 (lane % 4)
//   A: rows g and g + 8 of columns p, p+1; then the same rows of columns p+8, p+9;
//   B: rows p, p+1 of column g; then rows p+8, p+9;
//   D: columns p, p+1 of row g; then of row g + 8.
#pragma once

#include <cstdint>

#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/core/bfloat16.hpp"

namespace neural_attention::cuda_backend {

using FragmentA = std::uint32_t[4];
using FragmentB = std::uint32_t[2];
using FragmentD = float[4];

/// Two numbers in one register: `low` is the left one, or the upper one.
__device__ inline std::uint32_t pair_of(float low, float high) {
#if defined(__CUDACC__)
  std::uint32_t result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
#else
  return std::uint32_t{bfloat16(low).bits()} | std::uint32_t{bfloat16(high).bits()} << 16;
#endif
}

/// D += A B. All lanes of the warp take part.
__device__ inline void multiply_add(FragmentD& d, const FragmentA& a, const FragmentB& b) {
#if defined(__CUDACC__)
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  emulation::mma_m16n8k16(d, a, b);
#endif
}

/// The content of the rows of a tile in shared memory.
enum class Holds { ColumnsOfB, RowsOfB };

/// Two fragments B from four tiles [8, 8] in shared memory. The lanes name the tiles' rows of 16 bytes: lane i names
/// row i % 8 of tile i / 8. Tiles 0 and 1, one above the other, make the first fragment, tiles 2 and 3 the second.
template <Holds held>
__device__ inline void load_fragments(const bfloat16* row, FragmentB& first, FragmentB& second) {
#if defined(__CUDACC__)
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (held == Holds::RowsOfB)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(first[0]), "=r"(first[1]), "=r"(second[0]), "=r"(second[1])
                 : "r"(address)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(first[0]), "=r"(first[1]), "=r"(second[0]), "=r"(second[1])
                 : "r"(address)
                 : "memory");
#else
  std::uint32_t registers[4];
  emulation::ldmatrix_x4(row, held == Holds::RowsOfB, registers);
  for (int i = 0; i < 2; ++i) {
    first[i] = registers[i];
    second[i] = registers[2 + i];
  }
#endif
}

}  // namespace neural_attention::cuda_backend
