// The portable gemm engine, one tile on one thread, after Goto & van de Geijn, "Anatomy of high-performance matrix
// multiplication" (2008): panels of op(A) and op(B) are packed in the order in which the kernel reads them, and the
// kernel keeps a block of C in registers. Registers are Eigen's packets, so the kernel uses the full vectors of any
// target. With g++, Eigen's own product reaches two thirds of this speed (bench_gemm; docs/performance.md).
//
// An element of C is a sum over p in one fixed order, wherever it lies and whatever m and n are. Tiles can be cut and
// sentences can be batched in any way without changing a bit.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "neural_attention/core/bfloat16.hpp"
#include "neural_attention/core/kinds.hpp"

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

/// Sizes of the kernel's block of C, and of the panels.
template <class T>
struct Blocks {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  static constexpr int packet = Eigen::internal::packet_traits<T>::size;
  /// Registers hold rows · packets sums, a row of B and one element of A at a time.
  static constexpr int packets = 3;
  static constexpr int rows = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 8 : 4;
  static constexpr int cols = packets * packet;
  /// A strip [depth, cols] of B stays in the first-level cache, a panel [panel_rows, depth] of A in the second.
  static constexpr int depth = 256;
  static constexpr int panel_rows = 240;
  /// A packed strip of A [depth, rows] plus one cache line, so that the strips do not compete for the same places of a
  /// cache.
  static constexpr int line = 64 / static_cast<int>(sizeof(T));
  static constexpr std::ptrdiff_t left_strip(int k) { return std::ptrdiff_t{rows} * k + line; }
  static constexpr std::size_t left_size = static_cast<std::size_t>(left_strip(depth)) * (panel_rows / rows);
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

/// C [Rows, Packets · packet] = addend + A B with B packed [k, Packets · packet]. A is packed [k, Rows]; if `Direct`,
/// it is read from rows `a_stride` apart.
template <class T, int Rows, int Packets, bool Direct>
[[gnu::noinline]] void kernel(int k, const T* a, std::ptrdiff_t a_stride, const T* b, Addend<T> addend, T* c,
                              std::ptrdiff_t c_stride) {
  using namespace Eigen::internal;
  using Packet = typename Blocks<T>::Packet;
  constexpr int size = Blocks<T>::packet;
  Packet sums[Rows][Packets];
  const T* row[Rows];
  unrolled<Rows>([&](auto i) {
    // The loop does not need C; until it ends, C is on its way from memory.
    __builtin_prefetch(c + i * c_stride, 1);
    __builtin_prefetch(c + i * c_stride + Packets * size - 1, 1);
    if constexpr (Direct) row[i] = a + i * a_stride;
    unrolled<Packets>([&](auto j) { sums[i][j] = pset1<Packet>(T(0)); });
  });
#pragma GCC unroll 4
  for (int p = 0; p < k; ++p) {
    Packet right[Packets];
    unrolled<Packets>([&](auto j) { right[j] = pload<Packet>(b + j * size); });
    unrolled<Rows>([&](auto i) {
      const Packet left = pset1<Packet>(Direct ? row[i][p] : a[i]);
      unrolled<Packets>([&](auto j) { sums[i][j] = pmadd(left, right[j], sums[i][j]); });
    });
    b += Packets * size;
    if constexpr (!Direct) a += Rows;
  }
  unrolled<Rows>([&](auto i) {
    unrolled<Packets>([&](auto j) {
      Packet sum = sums[i][j];
      if (addend.data) sum = padd(sum, ploadu<Packet>(addend.data + i * addend.stride + j * size));
      pstoreu(c + i * c_stride + j * size, sum);
    });
  });
}

template <class T>
using Kernel = void (*)(int, const T*, std::ptrdiff_t, const T*, Addend<T>, T*, std::ptrdiff_t);

/// The kernel for `rows` in 1 … Blocks::rows and `packets` in 1 … Blocks::packets.
template <class T, bool Direct>
Kernel<T> kernel_for(int rows, int packets) {
  using B = Blocks<T>;
  static constexpr auto all = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<Kernel<T>, sizeof...(I)>{kernel<T, I / B::packets + 1, I % B::packets + 1, Direct>...};
  }
  (std::make_integer_sequence<int, B::rows * B::packets>{});
  return all[static_cast<std::size_t>((rows - 1) * B::packets + packets - 1)];
}

/// How many rows ahead of a copy memory is prefetched: each row may lie in another page, which no hardware prefetcher
/// foresees.
inline constexpr int rows_ahead = 16;

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
#pragma GCC diagnostic pop

/// Packs two strips of B [k, 2 · cols] row by row. Together they use whole cache lines, which would have left the cache
/// before a second visit.
template <class T>
void pack_two_strips(int k, Operand<T> b, T* out) {
  using namespace Eigen::internal;
  using B = Blocks<T>;
  using Packet = typename B::Packet;
  for (std::ptrdiff_t p = 0; p < k; ++p) {
    const T* const from = b.data + p * b.stride;
    for (int i = 0; i < 2 * B::cols; i += B::line) __builtin_prefetch(from + rows_ahead * b.stride + i);
    for (int strip = 0; strip < 2; ++strip)
      unrolled<B::packets>([&](auto i) {
        pstore(out + (strip * k + p) * B::cols + i * B::packet, ploadu<Packet>(from + strip * B::cols + i * B::packet));
      });
  }
}

/// Packs op(A) [m, k] in strips [k, rows]; the last strip has the remaining rows.
template <class T>
void pack_left(int m, int k, Operand<T> a, T* out) {
  using B = Blocks<T>;
  constexpr int rows = B::rows;
  const auto strip_size = B::left_strip(k);
  int i = 0;
  if (a.transposed) {
    constexpr int together = 2 * B::line / rows;  // strips that use up two cache lines of A: no cache would keep them
    for (; i + together * rows <= m; i += together * rows, out += together * strip_size)
      for (std::ptrdiff_t p = 0; p < k; ++p) {
        const T* const from = a.at(i, p).data;
        __builtin_prefetch(from + rows_ahead * a.stride);
        __builtin_prefetch(from + rows_ahead * a.stride + B::line);
        for (int s = 0; s < together; ++s) std::copy_n(from + s * rows, rows, out + s * strip_size + p * rows);
      }
  }
  for (; i < m; i += rows, out += strip_size) {
    const int height = std::min(rows, m - i);
    if (height == rows && !a.transposed) {
      const T* const first = a.at(i, 0).data;
      for (std::ptrdiff_t p = 0; p < k; ++p)
        for (int q = 0; q < rows; ++q) out[p * rows + q] = first[q * a.stride + p];
    } else {
      for (std::ptrdiff_t p = 0; p < k; ++p)
        for (int q = 0; q < height; ++q) out[p * height + q] = *a.at(i + q, p).data;
    }
  }
}

/// Rounds packed operands to bfloat16 if the backend's precision says so.
template <class T>
void round_packed(Precision precision, std::ptrdiff_t count, T* packed) {
  if constexpr (std::is_same_v<T, float>)
    if (precision == Precision::BFloat16) std::transform(packed, packed + count, packed, round_to_bfloat16);
}

/// op(B) [k, n] packed for the kernel, k ≤ panel_depth: blocks of depth() rows, in each block strips of
/// `cols` columns one after another.
template <class T>
class PackedRight {
 public:
  using B = Blocks<T>;
  /// The numbers of a panel of panel_cols columns.
  static constexpr std::size_t size = std::size_t{B::panel_cols} * B::panel_depth;

  PackedRight(int n, int k, T* memory) : n_(n), k_(k), depth_(piece(k, B::depth, B::packet)), memory_(memory) {}

  /// Rows of a block; the last may have fewer.
  int depth() const { return depth_; }

  int strips() const { return (n_ + B::cols - 1) / B::cols; }
  int strip_cols(int s) const { return std::min(B::cols, n_ - s * B::cols); }

  /// Pieces of packing work for different threads: each is a pair of strips of one block.
  int pieces() const { return blocks() * pairs(); }
  void pack(int piece, Operand<T> b, Precision precision) const {
    const int p = piece / pairs() * depth_, s = piece % pairs() * 2;
    const int depth = std::min(depth_, k_ - p), cols = std::min(2 * B::cols, n_ - s * B::cols);
    const auto from = b.at(p, s * B::cols);
    if (cols == 2 * B::cols && !b.transposed) {
      pack_two_strips(depth, from, strip(p, s));
    } else {
      pack_strip(std::min(B::cols, cols), depth, from, strip(p, s));
      if (cols > B::cols) pack_strip(cols - B::cols, depth, from.at(0, B::cols), strip(p, s + 1));
    }
    round_packed(precision, std::ptrdiff_t{depth} * B::padded(cols), strip(p, s));
  }

  /// Rows p … p + depth - 1, p a multiple of depth(), of strip s.
  T* strip(int p, int s) const {
    return memory_ + std::ptrdiff_t{p} * B::padded(n_) + std::ptrdiff_t{s} * B::cols * std::min(depth_, k_ - p);
  }

 private:
  int blocks() const { return (k_ + depth_ - 1) / depth_; }
  int pairs() const { return (strips() + 1) / 2; }

  int n_, k_, depth_;
  T* memory_;
};

/// C [m, columns of strips first … last - 1] = addend + op(A) [m, k] B on the calling thread. `left` holds
/// Blocks::left_size numbers; addend and c begin at column 0 of B.
template <class T>
void multiply_packed(int m, int k, Operand<T> a, const PackedRight<T>& b, int first, int last, Addend<T> addend, T* c,
                     std::ptrdiff_t c_stride, Precision precision, T* left) {
  using B = Blocks<T>;
  constexpr int few_strips = 4;  // packing A pays only where many columns read it
  const bool direct = !a.transposed && last - first <= few_strips && precision == Precision::Float32;
  for (int p = 0; p < k; p += b.depth()) {
    const int depth = std::min(b.depth(), k - p);
    for (int i0 = 0; i0 < m; i0 += B::panel_rows) {
      const int rows = std::min(B::panel_rows, m - i0);
      if (!direct) {
        pack_left(rows, depth, a.at(i0, p), left);
        round_packed(precision, (rows + B::rows - 1) / B::rows * B::left_strip(depth), left);
      }
      for (int s = first; s < last; ++s) {
        const int cols = b.strip_cols(s), packets = B::padded(cols) / B::packet;
        const T* const strip = b.strip(p, s);
        // Fetches the next strip piece by piece: the current strip is used up faster than memory could deliver the next
        // one.
        const int size = depth * packets * B::packet, piece = (size * B::rows + rows - 1) / rows;
        const T* next = strip + size;
        for (int i = 0; i < rows; i += B::rows) {
          for (int j = 0; j < piece; j += B::line) __builtin_prefetch(next + j, 0, 2);
          next += piece;
          const int height = std::min(B::rows, rows - i);
          const auto run = direct ? kernel_for<T, true>(height, packets) : kernel_for<T, false>(height, packets);
          const T* const from = direct ? a.at(i0 + i, p).data : left + i / B::rows * B::left_strip(depth);
          T* const to = c + (i0 + i) * c_stride + s * B::cols;
          const auto sum = p > 0 ? Addend<T>{to, c_stride} : addend.at(i0 + i, s * B::cols);
          if (cols == packets * B::packet) {
            run(depth, from, a.stride, strip, sum, to, c_stride);
            continue;
          }
          T block[B::rows * B::cols];
          run(depth, from, a.stride, strip, {}, block, B::cols);
          for (int r = 0; r < height; ++r)
            for (int q = 0; q < cols; ++q)
              to[r * c_stride + q] =
                  sum.data ? block[r * B::cols + q] + sum.data[r * sum.stride + q] : block[r * B::cols + q];
        }
      }
    }
  }
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

/// Visits panels of op(B) [k, n] of at most `most_cols` columns: body(col, cols, p, depth).
template <class T, class Body>
void for_each_panel(int n, int k, int most_cols, Body&& body) {
  using B = Blocks<T>;
  if (n == 0 || k == 0) return;
  const int cols = piece(n, most_cols, B::cols), depth = piece(k, B::panel_depth, B::packet);
  for (int col = 0; col < n; col += cols)
    for (int p = 0; p < k; p += depth) body(col, std::min(cols, n - col), p, std::min(depth, k - p));
}

/// C [m, n] = addend + op(A) [m, k] op(B) [k, n] on the calling thread.
template <class T, class Workspace>
void packed_gemm(int m, int n, int k, Operand<T> a, Operand<T> b, Addend<T> addend, T* c, std::ptrdiff_t c_stride,
                 Precision precision, Workspace& workspace) {
  using B = Blocks<T>;
  const auto right_size = std::size_t(B::padded(std::min(n, B::panel_cols))) * std::min(k, B::panel_depth);
  T* const left = workspace.reserve(B::left_size + right_size);
  for_each_panel<T>(n, k, B::panel_cols, [&](int col, int cols, int p, int depth) {
    const PackedRight<T> right(cols, depth, left + B::left_size);
    for (int i = 0; i < right.pieces(); ++i) right.pack(i, b.at(p, col), precision);
    const auto sum = p > 0 ? Addend<T>{c + col, c_stride} : addend.at(0, col);
    multiply_packed(m, depth, a.at(0, p), right, 0, right.strips(), sum, c + col, c_stride, precision, left);
  });
}

}  // namespace neural_attention::cpu_gemm
