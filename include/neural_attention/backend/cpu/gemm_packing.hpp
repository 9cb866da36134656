// Packing for the kernel of products: the operands in the order in which the kernel reads them, as the numbers that it
// multiplies (gemm_numbers.hpp).
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "neural_attention/backend/cpu/gemm_blocks.hpp"
#include "neural_attention/backend/cpu/gemm_numbers.hpp"
#include "neural_attention/backend/cpu/gemm_pairs.hpp"

namespace neural_attention::cpu_gemm {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // packets as template arguments: their alignment is in the type
/// Packs a strip of op(B) [k, n ≤ cols], as many packets wide as necessary, padded with zeros.
template <class T>
void pack_strip(int n, int k, Operand<T> b, T* out) {
  using namespace Eigen::internal;
  using B = Blocks<T>;
  const std::ptrdiff_t width = B::padded(n);
  for (int col = 0; col < n; col += B::packet) {
    const int cols = std::min(B::packet, n - col);
    const auto from = b.at(0, col);
    T* const to = out + col;
    int p = 0;
    if (cols == B::packet && !from.transposed)
      for (; p < k; ++p) pstore(to + p * width, ploadu<typename B::Packet>(from.at(p, 0).data));
    if (cols == B::packet && from.transposed)
      for (; p + B::packet <= k; p += B::packet) {
        PacketBlock<typename B::Packet, B::packet> square;
        unrolled<B::packet>(
            [&](auto q) { square.packet[q] = ploadu<typename B::Packet>(from.data + q * from.stride + p); });
        ptranspose(square);
        unrolled<B::packet>([&](auto q) { pstore(to + (p + q) * width, square.packet[q]); });
      }
    for (; p < k; ++p)
      for (int q = 0; q < B::packet; ++q) to[p * width + q] = q < cols ? *from.at(p, q).data : T(0);
  }
}

/// Packs two strips of B [k, 2 · cols] row by row. Together they use whole cache lines, which would have left the cache
/// before a second visit.
template <class T>
void pack_two_strips(int k, Operand<T> b, T* first, T* second) {
  using namespace Eigen::internal;
  using B = Blocks<T>;
  using Packet = typename B::Packet;
  for (std::ptrdiff_t p = 0; p < k; ++p) {
    const T* const from = b.data + p * b.stride;
    for (int i = 0; i < 2 * B::cols; i += B::line) __builtin_prefetch(from + rows_ahead * b.stride + i);
    for (int strip = 0; strip < 2; ++strip)
      unrolled<B::packets>([&](auto i) {
        pstore((strip == 0 ? first : second) + p * B::cols + i * B::packet,
               ploadu<Packet>(from + strip * B::cols + i * B::packet));
      });
  }
}

/// Packs op(B) [k, n + m] as two strips of n and m columns, or as one if m is 0.
template <class T>
void pack_strips(int n, int m, int k, Operand<T> b, T* first, T* second) {
  using B = Blocks<T>;
  if (n == B::cols && m == B::cols && !b.transposed) return pack_two_strips(k, b, first, second);
  pack_strip(n, k, b, first);
  if (m > 0) pack_strip(m, k, b.at(0, n), second);
}

/// Packs a strip [k, rows] of A [rows, k] by squares, transposed in registers.
template <class T>
void pack_rows_across(int k, Operand<T> a, T* out) {
  using namespace Eigen::internal;
  constexpr int rows = Blocks<T>::rows;
  using Packet = typename find_best_packet<T, rows>::type;
  constexpr int size = unpacket_traits<Packet>::size;
  int p = 0;
  for (; p + size <= k; p += size)
    for (int q = 0; q < rows; q += size) {
      PacketBlock<Packet, size> square;
      unrolled<size>([&](auto i) { square.packet[i] = ploadu<Packet>(a.at(q + i, p).data); });
      ptranspose(square);
      unrolled<size>([&](auto i) { pstoreu(out + (p + i) * rows + q, square.packet[i]); });
    }
  for (; p < k; ++p)
    for (int q = 0; q < rows; ++q) out[p * rows + q] = *a.at(q, p).data;
}

/// Packs op(A) [m, k] in strips [k, rows]; the last strip has the remaining rows.
template <class T>
void pack_left(int m, int k, Operand<T> a, T* out) {
  using B = Blocks<T>;
  constexpr int rows = B::rows;
  const auto strip_size = B::left_strip(k);
  int i = 0;
  if (a.transposed) {
    constexpr int most = 2 * B::line / rows;  // strips that use up two cache lines of A: no cache would keep them
    for (int strips = 0; (strips = std::min(most, (m - i) / rows)) > 0; i += strips * rows, out += strips * strip_size)
      for (std::ptrdiff_t p = 0; p < k; ++p) {
        const T* const from = a.at(i, p).data;
        __builtin_prefetch(from + rows_ahead * a.stride);
        __builtin_prefetch(from + rows_ahead * a.stride + B::line);
        for (int s = 0; s < strips; ++s) std::copy_n(from + s * rows, rows, out + s * strip_size + p * rows);
      }
  }
  for (; i < m; i += rows, out += strip_size) {
    const int height = std::min(rows, m - i);
    if (height == rows && !a.transposed) {
      pack_rows_across(k, a.at(i, 0), out);
    } else {
      for (std::ptrdiff_t p = 0; p < k; ++p)
        for (int q = 0; q < height; ++q) out[p * height + q] = *a.at(i + q, p).data;
    }
  }
}
#pragma GCC diagnostic pop

/// Packed rows that are rounded while they are in the first-level cache; whole squares.
inline constexpr int rows_at_once = 64;

/// Packs op(B) [k, n + m] as two strips of `numbers`, or as one if m is 0.
template <class T>
void pack_strips(Numbers numbers, int n, int m, int k, Operand<T> b, T* first, T* second) {
  using B = Blocks<T>;
  if (numbers == Numbers::Plain) return pack_strips(n, m, k, b, first, second);
#if NEURAL_ATTENTION_BFLOAT16_PAIRS
  if constexpr (std::is_same_v<T, float>)
    if (numbers != Numbers::Rounded) return pairs::pack_right(numbers, n, m, k, b, first, second);
#endif
  alignas(64) T plain[2][rows_at_once * B::cols];
  for (int p = 0; p < k; p += rows_at_once) {
    const int depth = std::min(rows_at_once, k - p);
    pack_strips(n, m, depth, b.at(p, 0), plain[0], plain[1]);
    pack_rows(numbers, p, depth, B::padded(n), plain[0], first);
    if (m > 0) pack_rows(numbers, p, depth, B::padded(m), plain[1], second);
  }
}

/// Packs op(A) [m ≤ panel_rows, k] in strips of `numbers`.
template <class T>
void pack_left(Numbers numbers, int m, int k, Operand<T> a, T* out) {
  using B = Blocks<T>;
  if (numbers == Numbers::Plain) return pack_left(m, k, a, out);
  constexpr int strips = 2 * B::line / B::rows, height = strips * B::rows;  // as many as pack_left packs together
  alignas(64) T plain[strips * B::left_strip(rows_at_once)];
  const auto strip_size = B::left_strip(steps(numbers, k));
  int i = 0;
#if NEURAL_ATTENTION_BFLOAT16_PAIRS
  if constexpr (std::is_same_v<T, float>)
    if (numbers == Numbers::Pairs) i = pairs::pack_left(m, k, a, out);
#endif
  for (out += i / B::rows * strip_size; i < m; i += height, out += strips * strip_size)
    for (int p = 0; p < k; p += rows_at_once) {
      const int rows = std::min(height, m - i), depth = std::min(rows_at_once, k - p);
      pack_left(rows, depth, a.at(i, p), plain);
      for (int q = 0, s = 0; q < rows; q += B::rows, ++s)
        pack_rows(numbers, p, depth, std::min(B::rows, rows - q), plain + s * B::left_strip(depth),
                  out + s * strip_size);
    }
}

}  // namespace neural_attention::cpu_gemm
