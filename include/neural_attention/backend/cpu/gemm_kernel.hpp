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
#include <cassert>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "neural_attention/backend/cpu/gemm_blocks.hpp"
#include "neural_attention/backend/cpu/gemm_numbers.hpp"
#include "neural_attention/backend/cpu/gemm_packing.hpp"
#include "neural_attention/backend/cpu/gemm_tiles.hpp"

namespace neural_attention::cpu_gemm {

/// How a kernel reads A: packed [k, Rows], or in place from rows `a_stride` apart.
enum class LeftOperand { Packed, InPlace };

/// C [Rows, Packets · packet] = addend + A B with B packed [k, Packets · packet]. `Step` multiplies and adds the packed
/// numbers.
template <class T, class Step, int Rows, int Packets, LeftOperand Left>
[[gnu::noinline]] void kernel(int k, const T* a, std::ptrdiff_t a_stride, const T* b, Addend<T> addend, T* c,
                              std::ptrdiff_t c_stride) {
  using namespace Eigen::internal;
  using Packet = typename Blocks<T>::Packet;
  constexpr int size = Blocks<T>::packet;
  Packet sums[Rows][Packets];
  const T* row[Rows];
  unrolled<Rows>([&](auto i) {
    // The loop does not need C; until it ends, C is on its way from memory.
    for (int j = 0; j < Packets * size; j += Blocks<T>::line) __builtin_prefetch(c + i * c_stride + j, 1);
    __builtin_prefetch(c + i * c_stride + Packets * size - 1, 1);
    if constexpr (Left == LeftOperand::InPlace) row[i] = a + i * a_stride;
    unrolled<Packets>([&](auto j) { sums[i][j] = pset1<Packet>(T(0)); });
  });
#pragma GCC unroll 4
  for (int p = 0; p < k; ++p) {
    Packet right[Packets];
    unrolled<Packets>([&](auto j) { right[j] = pload<Packet>(b + j * size); });
    unrolled<Rows>([&](auto i) {
      const Packet left = pset1<Packet>(Left == LeftOperand::InPlace ? row[i][p] : a[i]);
      unrolled<Packets>([&](auto j) { sums[i][j] = Step::add(left, right[j], sums[i][j]); });
    });
    b += Packets * size;
    if constexpr (Left == LeftOperand::Packed) a += Rows;
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
template <class T, class Step, LeftOperand Left>
Kernel<T> kernel_for(int rows, int packets) {
  using B = Blocks<T>;
  static constexpr auto all = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<Kernel<T>, sizeof...(I)>{kernel<T, Step, I / B::packets + 1, I % B::packets + 1, Left>...};
  }
  (std::make_integer_sequence<int, B::rows * B::packets>{});
  return all[static_cast<std::size_t>((rows - 1) * B::packets + packets - 1)];
}

/// The kernel for `numbers`. Only plain numbers can be read in place.
template <class T>
Kernel<T> kernel_for([[maybe_unused]] Numbers numbers, bool direct, int rows, int packets) {
#if NEURAL_ATTENTION_BFLOAT16_PAIRS
  if constexpr (std::is_same_v<T, float>)
    if (numbers == Numbers::Pairs) return kernel_for<T, PairMultiplyAdd, LeftOperand::Packed>(rows, packets);
#endif
  assert(numbers != Numbers::Pairs && (!direct || numbers == Numbers::Plain));
  return direct ? kernel_for<T, MultiplyAdd, LeftOperand::InPlace>(rows, packets)
                : kernel_for<T, MultiplyAdd, LeftOperand::Packed>(rows, packets);
}

/// The rows of the blocks in which a panel of B with k rows is packed.
template <class T>
int depth_of_blocks(Numbers numbers, int k) {
  return numbers == Numbers::Tiles ? k : piece(k, Blocks<T>::depth, Blocks<T>::packet);
}

/// The columns of a panel of B: pairs take half the place.
template <class T>
int panel_cols(Numbers numbers) {
  return Blocks<T>::panel_cols * (numbers == Numbers::Tiles ? 2 : 1);
}

/// The numbers of a packed panel of A with at most k terms.
template <class T>
std::size_t left_size([[maybe_unused]] Numbers numbers, [[maybe_unused]] int k) {
  using B = Blocks<T>;
#if NEURAL_ATTENTION_BFLOAT16_TILES
  if (numbers == Numbers::Tiles)
    return static_cast<std::size_t>(tiles::left_strip(std::min(k, B::panel_depth))) * (tiles::panel_rows / tiles::side);
#endif
  return static_cast<std::size_t>(B::left_strip(B::depth)) * (B::panel_rows / B::rows);
}

/// op(B) [k, n] packed for the kernel, k ≤ panel_depth: blocks of depth() rows, in each block strips of
/// `cols` columns one after another.
template <class T>
class PackedRight {
 public:
  using B = Blocks<T>;
  /// The memory that n columns of k rows take, in numbers: the last columns fill whole packets.
  static constexpr std::size_t size(Numbers numbers, int n, int k) {
    return static_cast<std::size_t>(B::padded(n)) * static_cast<std::size_t>(steps(numbers, k));
  }

  PackedRight(Numbers numbers, int n, int k, T* memory)
      : numbers_(numbers), n_(n), k_(k), depth_(depth_of_blocks<T>(numbers, k)), memory_(memory) {}

  Numbers numbers() const { return numbers_; }

  /// Rows of a block; the last may have fewer.
  int depth() const { return depth_; }

  int strips() const { return (n_ + B::cols - 1) / B::cols; }
  /// The first column of strip s; the last one ends where B ends.
  int strip_begin(int s) const {
    if (s == strips()) return n_;
    return s * B::cols - (s > 0 && s + 1 == strips() && one_packet_left() ? B::packet : 0);
  }
  int strip_cols(int s) const { return strip_begin(s + 1) - strip_begin(s); }

  /// Pieces of packing work for different threads: each is a pair of strips of one block.
  int pieces() const { return blocks() * pairs(); }
  void pack(int piece, Operand<T> b) const {
    const int p = piece / pairs() * depth_, s = piece % pairs() * 2;
    const int second = s + 1 < strips() ? strip_cols(s + 1) : 0;
    pack_strips(numbers_, strip_cols(s), second, std::min(depth_, k_ - p), b.at(p, strip_begin(s)), strip(p, s),
                second > 0 ? strip(p, s + 1) : nullptr);
  }

  /// Rows p … p + depth - 1, p a multiple of depth(), of strip s.
  T* strip(int p, int s) const {
    return memory_ + std::ptrdiff_t{steps(numbers_, p)} * B::padded(n_) +
           std::ptrdiff_t{strip_begin(s)} * steps(numbers_, std::min(depth_, k_ - p));
  }

 private:
  /// For the last strip. One packet has too few sums to hide the time that an addition takes, so the strip before it
  /// gives one away.
  bool one_packet_left() const { return B::padded(n_) / B::packet % B::packets == 1; }

  int blocks() const { return (k_ + depth_ - 1) / depth_; }
  int pairs() const { return (strips() + 1) / 2; }

  Numbers numbers_;
  int n_, k_, depth_;
  T* memory_;
};

/// C [m, columns of strips first … last - 1] = addend + op(A) [m, k] B on the calling thread. `left` holds
/// left_size numbers; addend and c begin at column 0 of B. A `part` of the terms needs k ≤ depth.
template <class T>
void multiply_packed(int m, int k, Operand<T> a, const PackedRight<T>& b, int first, int last, Addend<T> addend, T* c,
                     std::ptrdiff_t c_stride, T* left, Part part = {}) {
  using B = Blocks<T>;
#if NEURAL_ATTENTION_BFLOAT16_TILES
  if constexpr (std::is_same_v<T, float>)
    if (b.numbers() == Numbers::Tiles) return tiles::multiply(m, k, a, b, first, last, addend, c, c_stride, left, part);
#endif
  constexpr int few_strips = std::max(4, 144 / B::cols);  // packing A pays only where many columns read it
  const bool direct = !a.transposed && last - first <= few_strips && b.numbers() == Numbers::Plain;
  assert(part.of == Part::Of::All || part.of == Part::Of::Columns || k <= b.depth());
  for (int p = 0; p < k; p += b.depth()) {
    const int depth = std::min(b.depth(), k - p), rows_of_strip = steps(b.numbers(), depth);
    for (int i0 = 0; i0 < m; i0 += B::panel_rows) {
      const int rows = std::min(B::panel_rows, m - i0);
      if (!direct) pack_left(b.numbers(), rows, depth, a.at(i0, p), left);
      for (int s = first; s < last; ++s) {
        const int col = b.strip_begin(s), cols = b.strip_cols(s), packets = B::padded(cols) / B::packet;
        const T* const strip = b.strip(p, s);
        // Fetches the next strip piece by piece: the current strip is used up faster than memory could deliver the next
        // one.
        const int size = rows_of_strip * packets * B::packet, piece = (size * B::rows + rows - 1) / rows;
        const T* next = strip + size;
        for (int i = 0; i < rows; i += B::rows) {
          for (int j = 0; j < piece; j += B::line) __builtin_prefetch(next + j, 0, 2);
          next += piece;
          if (direct && s == first)  // the next rows of A: no hardware prefetcher foresees short rows
            for (int r = B::rows; r < 2 * B::rows; ++r)
              for (int q = 0; q < depth; q += B::line) __builtin_prefetch(a.at(i0 + i + r, p + q).data);
          const int height = std::min(B::rows, rows - i);
          const int begin = steps(b.numbers(), part.begin_term(i0 + i));
          const int terms = steps(b.numbers(), part.end_term(i0 + i + height, depth)) - begin;
          if (!part.has(i0 + i + height, col) || terms <= 0) continue;
          const auto run = kernel_for<T>(b.numbers(), direct, height, packets);
          const T* const from = direct ? a.at(i0 + i, p + begin).data
                                       : left + i / B::rows * B::left_strip(rows_of_strip) + begin * height;
          const T* const right = strip + begin * packets * B::packet;
          T* const to = c + (i0 + i) * c_stride + col;
          const auto sum = p > 0 ? Addend<T>{to, c_stride} : addend.at(i0 + i, col);
          if (cols == packets * B::packet) {
            run(terms, from, a.stride, right, sum, to, c_stride);
            continue;
          }
          T block[B::rows * B::cols];
          run(terms, from, a.stride, right, {}, block, B::cols);
          for (int r = 0; r < height; ++r)
            for (int q = 0; q < cols; ++q)
              to[r * c_stride + q] =
                  sum.data ? block[r * B::cols + q] + sum.data[r * sum.stride + q] : block[r * B::cols + q];
        }
      }
    }
  }
}

/// C [m, n] = addend + op(A) [m, k] op(B) [k, n] on the calling thread. A `part` needs a B of one panel.
template <class T, class Workspace>
void packed_gemm(int m, int n, int k, Operand<T> a, Operand<T> b, Addend<T> addend, T* c, std::ptrdiff_t c_stride,
                 Numbers numbers, Workspace& workspace, Part part = {}) {
  using B = Blocks<T>;
  const auto right_size =
      std::size_t(B::padded(std::min(n, panel_cols<T>(numbers)))) * steps(numbers, std::min(k, B::panel_depth));
  const auto left_numbers = left_size<T>(numbers, k);
  T* const left = workspace.reserve(left_numbers + right_size);
  for_each_panel<T>(n, k, panel_cols<T>(numbers), unit_of_terms<T>(numbers), [&](int col, int cols, int p, int depth) {
    const PackedRight<T> right(numbers, cols, depth, left + left_numbers);
    for (int i = 0; i < right.pieces(); ++i) right.pack(i, b.at(p, col));
    const auto sum = p > 0 ? Addend<T>{c + col, c_stride} : addend.at(0, col);
    multiply_packed(m, depth, a.at(0, p), right, 0, right.strips(), sum, c + col, c_stride, left, part);
  });
}

}  // namespace neural_attention::cpu_gemm
