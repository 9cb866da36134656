// What products of matrices on the CPU share: operands, the sizes of the kernel's blocks and panels, and how sums of
// many terms are cut.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <utility>

#include "neural_attention/core/language.hpp"

namespace neural_attention::cpu_gemm {

/// A matrix as stored (row-major) and whether the product reads it transposed.
template <class T>
struct Operand {
  const T* data;
  std::ptrdiff_t stride;
  bool transposed;

  /// The operand from row `row` and column `col` of op(X) onwards.
  Operand at(std::ptrdiff_t row, std::ptrdiff_t col) const {
    return {data + (transposed ? col * stride + row : row * stride + col), stride, transposed};
  }
};

/// The addend of a product, [m, n]: nothing (no data), one row for all (stride 0), or a matrix, which may be C itself.
template <class T>
struct Addend {
  const T* data = nullptr;
  std::ptrdiff_t stride = 0;

  Addend at(std::ptrdiff_t row, std::ptrdiff_t col) const {
    return {data ? data + row * stride + col : nullptr, stride};
  }
};

/// The part of a product that somebody needs, where an operand or C is a triangle, as the probabilities of causal
/// attention are: row i of a triangle has columns 0 … i + diagonal. Blocks of the kernel outside the part are left out.
struct Part {
  enum class Of {
    All,
    Columns,     ///< C is the triangle: nobody reads the rest, which may stay as it was
    FirstTerms,  ///< op(A) is: the rest is 0. C must be the addend
    LastTerms,   ///< op(A) is the triangle transposed. C must be the addend
  };
  Of of = Of::All;
  int diagonal = 0;

  /// Whether rows 0 … end_row - 1 need column `col`.
  bool has(int end_row, int col) const { return of != Of::Columns || col < end_row + diagonal; }
  /// The terms that the sums of rows `row` … end_row - 1 need, of 0 … k - 1: whole pairs, as far as k has them.
  int begin_term(int row) const { return of == Of::LastTerms ? std::max(0, row - diagonal) / 2 * 2 : 0; }
  int end_term(int end_row, int k) const {
    return of == Of::FirstTerms ? std::clamp((end_row + diagonal + 1) / 2 * 2, 0, k) : k;
  }
};

/// Sizes of the kernel's block of C, and of the panels.
template <class T>
struct Blocks {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  static constexpr int packet = Eigen::internal::packet_traits<T>::size;
  /// Registers hold rows · packets sums, a row of B and one element of A at a time.
  static constexpr int packets = 3;
  static constexpr int rows = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 8 : 4;
  static constexpr int cols = packets * packet;
  /// A strip [depth, cols] of B stays in the first-level cache, a panel [panel_rows, depth] of A in the second. Full
  /// panels of A consist of whole pairs of cache lines, by which pack_left reads a transposed A.
  static constexpr int depth = 256;
  static constexpr int panel_rows = sizeof(Packet) == 64 ? 128 : 240;
  /// A packed strip of A [depth, rows] plus one cache line, so that the strips do not compete for the same places of a
  /// cache.
  static constexpr int line = 64 / static_cast<int>(sizeof(T));
  static constexpr std::ptrdiff_t left_strip(int k) { return std::ptrdiff_t{rows} * k + line; }
  /// A panel of B stays in the last-level cache.
  static constexpr int panel_cols = 1032;
  static constexpr int panel_depth = 1280;

  /// n columns as whole packets.
  static constexpr int padded(int n) { return (n + packet - 1) / packet * packet; }
};

/// The length of a piece, a multiple of `unit`, if n is cut into the fewest equal pieces of at most `most`.
inline int piece(int n, int most, int unit) {
  const int pieces = (n + most - 1) / most, size = (n + pieces - 1) / pieces;
  return std::min(most, (size + unit - 1) / unit * unit);
}

/// Calls body(0), …, body(Count - 1), unrolled, because registers cannot be indexed at run time.
template <int Count, class Body>
[[gnu::always_inline]] inline void unrolled(Body&& body) {
  [&]<int... I>(std::integer_sequence<int, I...>) { (body(std::integral_constant<int, I>{}), ...); }
  (std::make_integer_sequence<int, Count>{});
}

/// Visits the pieces of a sum of k terms, each of which has its own sum: body(p, depth).
template <class T, class Body>
void for_each_block(int k, Body&& body) {
  using B = Blocks<T>;
  const int panel = piece(k, B::panel_depth, B::packet);
  for (int p = 0; p < k; p += panel) {
    const int depth = std::min(panel, k - p), block = piece(depth, B::depth, B::packet);
    for (int q = 0; q < depth; q += block) body(p + q, std::min(block, depth - q));
  }
}

/// How many rows ahead of a copy memory is prefetched: each row may lie in another page, which no hardware prefetcher
/// foresees.
inline constexpr int rows_ahead = 16;

/// Visits panels of op(B) [k, n] of at most `most_cols` columns and multiples of `unit` rows: body(col, cols, p,
/// depth).
template <class T, class Body>
void for_each_panel(int n, int k, int most_cols, int unit, Body&& body) {
  using B = Blocks<T>;
  if (n == 0 || k == 0) return;
  const int cols = piece(n, most_cols, B::cols), depth = piece(k, B::panel_depth, unit);
  for (int col = 0; col < n; col += cols)
    for (int p = 0; p < k; p += depth) body(col, std::min(cols, n - col), p, std::min(depth, k - p));
}

}  // namespace neural_attention::cpu_gemm
