// Products of bfloat16 numbers by AMX, Intel's matrix unit. It has eight tiles of 16 rows of 64 bytes; one instruction
// multiplies 16 × 32 by 32 × 16 numbers of bfloat16 and adds them to 16 × 16 sums of float.
//
// For each 32 terms, the instruction adds the first numbers of the pairs and the second ones in sums of their own, each
// with fused multiply-adds from 0, then these two, and this to the sum. Numbers and sums below 1e-38 count as 0. So the
// bits differ from those of vdpbf16ps, but depend on the operands alone.
#pragma once

#include "neural_attention/backend/cpu/gemm_blocks.hpp"
#include "neural_attention/backend/cpu/gemm_numbers.hpp"
#include "neural_attention/backend/cpu/gemm_pairs.hpp"

#if NEURAL_ATTENTION_BFLOAT16_TILES
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <utility>

namespace neural_attention::cpu_gemm::tiles {

/// A tile has 16 rows of 16 sums or 16 pairs.
using pairs::side, pairs::terms;
/// Tiles of C in registers: two rows and as many columns as a strip of B has.
inline constexpr int block_rows = 2 * side;
/// Rows of A that are packed together, with all terms of a panel of B; they stay in the second-level cache.
inline constexpr int panel_rows = 256;
/// Terms of a strip of B that stay in the first-level cache.
inline constexpr int depth = 256;
/// The numbers of a packed strip [16 rows] of A with `k` terms and one cache line, so that the strips do not compete
/// for the same places of a cache.
constexpr std::ptrdiff_t left_strip(int k) { return std::ptrdiff_t{side} * steps(Numbers::Tiles, k) + side; }

/// The unit of this thread while it lives: all tiles have their full size.
class Unit {
 public:
  Unit() {
    alignas(64) struct {
      unsigned char palette = 1, start_row = 0, reserved[14] = {};
      unsigned short row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      unsigned char rows[16] = {side, side, side, side, side, side, side, side};
    } sizes;
    asm volatile("ldtilecfg %0" : : "m"(sizes));
  }
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;
  ~Unit() { asm volatile("tilerelease"); }
};

template <int Tile>
[[gnu::always_inline]] inline void load(const float* rows, std::ptrdiff_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"(stride * 4), "i"(Tile) : "memory");
}
template <int Tile>
[[gnu::always_inline]] inline void store(float* rows, std::ptrdiff_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(rows), "r"(stride * 4), "i"(Tile) : "memory");
}
template <int Tile>
[[gnu::always_inline]] inline void set_zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(Tile));
}
/// sum += left · right
template <int Sum, int Left, int Right>
[[gnu::always_inline]] inline void multiply_add() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(Left), "i"(Right));
}

/// C [16 · Rows, 16 · Cols] = addend + A B for `count` tiles of terms. A is packed in strips, B [pairs, 16 · Cols].
template <int Rows, int Cols>
[[gnu::noinline]] void kernel(int count, const float* a, std::ptrdiff_t a_strip, const float* b, Addend<float> addend,
                              float* c, std::ptrdiff_t c_stride) {
  constexpr int left = 6, right = 7;
  constexpr std::ptrdiff_t width = side * Cols;
  const auto of_sums = [](auto body) { unrolled<Rows>([=](auto i) { unrolled<Cols>([=](auto j) { body(i, j); }); }); };
  of_sums([=](auto i, auto j) {
    if (addend.data)
      load<i * Cols + j>(addend.data + side * (i * addend.stride + j), addend.stride);
    else
      set_zero<i * Cols + j>();
  });
  for (int t = 0; t < count; ++t, a += side * side, b += side * width)
    unrolled<Rows>([=](auto i) {
      load<left>(a + i * a_strip, side);
      unrolled<Cols>([=](auto n) {
        constexpr int j = i % 2 == 0 ? n : Cols - 1 - n;  // back again: the last column is there
        if constexpr (i == 0 || n > 0) load<right>(b + side * j, width);
        multiply_add<i * Cols + j, left, right>();
      });
    });
  of_sums([=](auto i, auto j) { store<i * Cols + j>(c + side * (i * c_stride + j), c_stride); });
}

/// The kernel for `rows` in 1 … 2 and `cols` in 1 … 3 tiles.
inline auto kernel_for(int rows, int cols) {
  using Kernel = void (*)(int, const float*, std::ptrdiff_t, const float*, Addend<float>, float*, std::ptrdiff_t);
  static constexpr std::array<Kernel, 6> all = {kernel<1, 1>, kernel<1, 2>, kernel<1, 3>,
                                                kernel<2, 1>, kernel<2, 2>, kernel<2, 3>};
  return all[static_cast<std::size_t>((rows - 1) * 3 + cols - 1)];
}

/// Rounds of six products that do not depend on each other; for measuring.
[[gnu::noinline]] inline float run_steps(int rounds) {
  const Unit unit;
  unrolled<8>([](auto i) { set_zero<i>(); });
  for (int round = 0; round < rounds; ++round) unrolled<6>([](auto i) { multiply_add<i, 6, 7>(); });
  alignas(64) float sums[side * side];
  store<0>(sums, side);
  return sums[0];
}
/// Floating point operations of a round.
inline constexpr double round_flops = 6.0 * 2 * side * side * terms;

/// Packs op(A) [m ≤ panel_rows, k] in strips of tiles, padded with zeros.
inline void pack_left(int m, int k, Operand<float> a, float* out) {
  using namespace pairs;
  Square square;
  const auto pack = [&](int i, int p) {
    round_square(a.at(i, p).data, a.stride, a.transposed ? Adjacent::Lines : Adjacent::Terms, m - i, k - p, square);
    if (a.transposed) transpose(square);
    store_square(square, out + i / side * left_strip(k) + std::ptrdiff_t{p} / 2 * side, side);
  };
  // Along the rows of A as it lies in memory.
  if (a.transposed)
    for (int p = 0; p < k; p += terms)
      for (int i = 0; i < m; i += side) pack(i, p);
  else
    for (int i = 0; i < m; i += side)
      for (int p = 0; p < k; p += terms) pack(i, p);
}

/// multiply_packed (gemm_kernel.hpp) with packed numbers of Numbers::Tiles.
template <class Right>
void multiply(int m, int k, Operand<float> a, const Right& b, int first, int last, Addend<float> addend, float* c,
              std::ptrdiff_t c_stride, float* left, Part part) {
  using B = Blocks<float>;
  const Unit unit;
  for (int i0 = 0; i0 < m; i0 += panel_rows) {
    const int rows = std::min(panel_rows, m - i0);
    pack_left(rows, k, a.at(i0, 0), left);
    for (int s = first; s < last; ++s) {
      const int col = b.strip_begin(s), cols = b.strip_cols(s), width = B::padded(cols);
      for (int p = 0; p < k; p += depth)
        for (int i = 0; i < rows; i += block_rows) {
          const int height = std::min(block_rows, rows - i), tile_rows = (height + side - 1) / side;
          const int begin = std::max(p, part.begin_term(i0 + i) / terms * terms);
          const int end = std::min({p + depth, k, part.end_term(i0 + i + height, k)});
          if (!part.has(i0 + i + height, col) || end <= begin) continue;
          const auto run = kernel_for(tile_rows, width / side);
          const int count = (end - begin + terms - 1) / terms;
          const float* const from = left + i / side * left_strip(k) + std::ptrdiff_t{begin} / 2 * side;
          const float* const right = b.strip(0, s) + std::ptrdiff_t{begin} / 2 * width;
          float* const to = c + (i0 + i) * c_stride + col;
          const auto sum = p > 0 ? Addend<float>{to, c_stride} : addend.at(i0 + i, col);
          if (p == 0) {  // the next block of C is on its way from memory while the unit computes this one
            const float* const next =
                i + block_rows < rows ? to + block_rows * c_stride : c + i0 * c_stride + col + cols;
            for (int r = 0; r < block_rows; ++r)
              for (int q = 0; q < width; q += B::line) __builtin_prefetch(next + r * c_stride + q, 1);
          }
          if (cols == width && height == tile_rows * side) {
            run(count, from, left_strip(k), right, sum, to, c_stride);
            continue;
          }
          alignas(64) float block[block_rows * B::cols];
          for (int r = 0; r < tile_rows * side; ++r)
            for (int q = 0; q < width; ++q)
              block[r * width + q] = sum.data && r < height && q < cols ? sum.data[r * sum.stride + q] : 0.0f;
          run(count, from, left_strip(k), right, {block, width}, block, width);
          for (int r = 0; r < height; ++r) std::copy_n(block + r * width, cols, to + r * c_stride);
        }
    }
  }
}

}  // namespace neural_attention::cpu_gemm::tiles
#endif
