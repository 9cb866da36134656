// Packing of pairs of bfloat16 numbers (gemm_numbers.hpp) by squares in registers: the processor rounds 32 floats at a
// time, and pairs are transposed as one number. It takes denormal floats for 0.
#pragma once

#include "neural_attention/backend/cpu/gemm_blocks.hpp"
#include "neural_attention/backend/cpu/gemm_numbers.hpp"

#if NEURAL_ATTENTION_BFLOAT16_PAIRS
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

namespace neural_attention::cpu_gemm::pairs {

/// A square has 16 lines of 16 pairs.
inline constexpr int side = 16, terms = 32;

struct Square {
  __m512i row[side];
};

[[gnu::always_inline]] inline void transpose(Square& x) {
  Square pairs, quads;
  unrolled<side / 2>([&](auto i) {
    pairs.row[2 * i] = _mm512_unpacklo_epi32(x.row[2 * i], x.row[2 * i + 1]);
    pairs.row[2 * i + 1] = _mm512_unpackhi_epi32(x.row[2 * i], x.row[2 * i + 1]);
  });
  unrolled<side / 4>([&](auto i) {  // quarter L of row 4 i + c: column 4 L + c of four rows
    unrolled<2>([&](auto c) {
      quads.row[4 * i + 2 * c] = _mm512_unpacklo_epi64(pairs.row[4 * i + c], pairs.row[4 * i + c + 2]);
      quads.row[4 * i + 2 * c + 1] = _mm512_unpackhi_epi64(pairs.row[4 * i + c], pairs.row[4 * i + c + 2]);
    });
  });
  unrolled<side / 4>([&](auto c) {
    constexpr int even = 0x88, odd = 0xdd;  // quarters 0 and 2, or 1 and 3, of both operands
    const auto first = _mm512_shuffle_i32x4(quads.row[c], quads.row[4 + c], even),
               second = _mm512_shuffle_i32x4(quads.row[c], quads.row[4 + c], odd),
               third = _mm512_shuffle_i32x4(quads.row[8 + c], quads.row[12 + c], even),
               fourth = _mm512_shuffle_i32x4(quads.row[8 + c], quads.row[12 + c], odd);
    x.row[c] = _mm512_shuffle_i32x4(first, third, even);
    x.row[4 + c] = _mm512_shuffle_i32x4(second, fourth, even);
    x.row[8 + c] = _mm512_shuffle_i32x4(first, third, odd);
    x.row[12 + c] = _mm512_shuffle_i32x4(second, fourth, odd);
  });
}

/// The first `count` of 16 floats, then zeros.
[[gnu::always_inline]] inline __m512 load_floats(const float* from, int count) {
  if (count >= side) return _mm512_loadu_ps(from);
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << std::max(count, 0)) - 1), from);
}

/// Two rows of 16 numbers as pairs.
[[gnu::always_inline]] inline __m512i zip(__m512 first, __m512 second) {
  alignas(64) static constexpr auto places = [] {
    std::array<unsigned short, terms> index{};
    for (std::size_t i = 0; i < terms; ++i) index[i] = static_cast<unsigned short>(i / 2 + i % 2 * side);
    return index;
  }();
  return _mm512_permutexvar_epi16(_mm512_load_si512(places.data()),
                                  std::bit_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first)));
}

/// What lies one after another in the memory of an operand: the terms of a line, or the lines of a term.
enum class Adjacent { Terms, Lines };

/// Rounds op(X), from (0, 0) on, to pairs along its terms: 16 lines, of which `lines` exist, and 32 terms, of which
/// `count` exist, as a square [line, pair] if terms are adjacent, otherwise [pair, line].
[[gnu::always_inline]] inline void round_square(const float* from, std::ptrdiff_t stride, Adjacent adjacent, int lines,
                                                int count, Square& square) {
  const bool whole = lines >= side && count >= terms;
  if (adjacent == Adjacent::Terms) {
    for (int r = 0; r < side; ++r, from += stride) {
      __m512 first = _mm512_setzero_ps(), second = first;
      if (whole || r < lines) {
        first = whole ? _mm512_loadu_ps(from) : load_floats(from, count);
        if (whole || count > side)
          second = whole ? _mm512_loadu_ps(from + side) : load_floats(from + side, count - side);
      }
      square.row[r] = std::bit_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
    }
  } else if (whole) {
    for (int r = 0; r < side; ++r, from += 2 * stride) {
      // No hardware foresees rows that lie in other pages.
      __builtin_prefetch(from + terms * stride);
      __builtin_prefetch(from + (terms + 1) * stride);
      square.row[r] = zip(_mm512_loadu_ps(from), _mm512_loadu_ps(from + stride));
    }
  } else {
    for (int r = 0; r < side; ++r, from += 2 * stride) {
      __m512 first = _mm512_setzero_ps(), second = first;
      if (2 * r < count) first = load_floats(from, lines);
      if (2 * r + 1 < count) second = load_floats(from + stride, lines);
      square.row[r] = zip(first, second);
    }
  }
}

/// The first `rows` rows of a square.
inline void store_square(const Square& square, float* to, std::ptrdiff_t stride, int rows = side) {
  for (int r = 0; r < rows; ++r) _mm512_store_si512(to + r * stride, square.row[r]);
}

/// Rounds k rows of `cols` numbers, `stride` apart, to pairs of rows: put(step, col, pairs) for each 16 columns, with
/// zeros beyond the last one. Visits the rows from end to end, as they lie in memory.
inline void zip_rows(const float* from, std::ptrdiff_t stride, int k, int cols, auto&& put) {
  for (int p = 0; p < k; p += 2, from += 2 * stride)
    for (int col = 0; col < cols; col += side) {
      __builtin_prefetch(from + rows_ahead * stride + col);
      __builtin_prefetch(from + (rows_ahead + 1) * stride + col);
      const auto second = p + 1 < k ? load_floats(from + stride + col, cols - col) : _mm512_setzero_ps();
      put(p / 2, col, zip(load_floats(from + col, cols - col), second));
    }
}

/// Packs op(B) [k, n + m] as two strips of n and m ≤ 48 columns, or as one if m is 0, in pairs of rows. Beyond n, m and
/// k there are zeros.
inline void pack_right(Numbers numbers, int n, int m, int k, Operand<float> b, float* first, float* second) {
  const std::ptrdiff_t width = Blocks<float>::padded(n), other_width = Blocks<float>::padded(m);
  const auto place = [&](int step, int col) {
    return col < n ? first + step * width + col : second + step * other_width + col - n;
  };
  if (numbers == Numbers::Pairs && !b.transposed)
    return zip_rows(b.data, b.stride, k, n + m,
                    [&](int step, int col, __m512i row) { _mm512_store_si512(place(step, col), row); });
  Square square;
  for (int p = 0; p < k; p += terms)
    for (int col = 0; col < n + m; col += side) {
      const int cols = (col < n ? n : n + m) - col;
      round_square(b.at(p, col).data, b.stride, b.transposed ? Adjacent::Terms : Adjacent::Lines, cols, k - p, square);
      if (b.transposed) transpose(square);
      store_square(square, place(p / 2, col), col < n ? width : other_width, std::min(side, steps(numbers, k) - p / 2));
    }
}

/// Packs the whole strips [pairs, 8] of op(A) [m, k]. Returns how many rows that is.
inline int pack_left(int m, int k, Operand<float> a, float* out) {
  constexpr int rows = Blocks<float>::rows;
  static_assert(rows == side / 2);
  const auto strip_size = Blocks<float>::left_strip(steps(Numbers::Pairs, k));
  const int whole = m / rows * rows;
  // Half of 16 lines belongs to one strip, the other half, if there are so many, to the next.
  const auto store = [&](int i, int step, __m512i row) {
    float* const strip = out + i / rows * strip_size + std::ptrdiff_t{step} * rows;
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(strip), _mm512_castsi512_si256(row));
    if (whole - i > rows)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(strip + strip_size), _mm512_extracti64x4_epi64(row, 1));
  };
  if (a.transposed) {
    zip_rows(a.data, a.stride, k, whole, [&](int step, int i, __m512i row) { store(i, step, row); });
    return whole;
  }
  Square square;
  for (int i = 0; i < whole; i += side)
    for (int p = 0; p < k; p += terms) {
      round_square(a.at(i, p).data, a.stride, Adjacent::Terms, whole - i, k - p, square);
      transpose(square);
      for (int r = 0; r < std::min(side, steps(Numbers::Pairs, k) - p / 2); ++r) store(i, p / 2 + r, square.row[r]);
    }
  return whole;
}

}  // namespace neural_attention::cpu_gemm::pairs
#endif
