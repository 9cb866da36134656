// Linear maps on the CPU: y = f(x wᵀ + b) and its gradients. Each thread computes tiles of the output. The cut depends
// on the shape and the number of threads, but never changes the order of a sum over k, so results do not depend on it.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cstddef>

#include "neural_attention/backend/cpu/activations.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/backend/cpu/gemm.hpp"
#include "neural_attention/backend/cpu/int8_linear.hpp"

namespace neural_attention {

namespace cpu_gemm {

/// C [m, n] = f(addend + op(A) [m, k] op(B) [k, n]), shared by the threads.
template <class T>
void product(CpuEngine<T>& cpu, int m, int n, int k, Operand<T> a, Operand<T> b, Addend<T> addend, Activation f,
             RowsOf<T> c) {
  using Blocks = Blocks<T>;
  constexpr int tiles_per_thread = 4;  // a delayed thread then does not delay the others for long
  const auto finish = [&](int row, int rows, int col, int cols) {
    if (f == Activation::Identity) return;
    for (int r = row; r < row + rows; ++r) cpu_elementwise::apply(f, c.row(r) + col, c.row(r) + col, cols);
  };
  if (m <= few_rows && !a.transposed && b.transposed && cpu.precision == Precision::Float32) {
    // Weights come from memory, and one thread alone does not use all of its bandwidth: tiles by numbers, not by work.
    constexpr std::ptrdiff_t smallest = 1 << 16;
    const auto most = std::ptrdiff_t{tiles_per_thread} * cpu.threads.threads();
    const auto tiles = static_cast<int>(std::clamp(std::ptrdiff_t{n} * k / smallest, std::ptrdiff_t{1}, most));
    cpu.run_tiles(tiles, [&](int tile, int) {
      const int col = cut(n, tiles, 16, tile), end = cut(n, tiles, 16, tile + 1);
      multiply_few_rows(m, end - col, k, a, b.at(0, col), addend.at(0, col), c.data + col, c.stride);
      finish(0, m, col, end - col);
    });
    return;
  }
#if defined(NEURAL_ATTENTION_ONEDNN)
  if constexpr (std::is_same_v<T, float>) {
    if (cpu.precision == Precision::Float32) {
      constexpr int tiles = 32;  // for any number of threads: oneDNN's sums may depend on the shape of a tile
      const Tiling tiling(m, n, k, tiles);
      cpu.threads.run(tiling.count(), [&](int tile, int) {
        const int i = tile / tiling.col_tiles, j = tile % tiling.col_tiles;
        const int row = cut(m, tiling.row_tiles, Blocks::line, i);
        const int rows = cut(m, tiling.row_tiles, Blocks::line, i + 1) - row;
        const int col = cut(n, tiling.col_tiles, Blocks::line, j);
        const int cols = cut(n, tiling.col_tiles, Blocks::line, j + 1) - col;
        onednn_gemm(rows, cols, k, a.at(row, 0), b.at(0, col), addend.at(row, col), c.row(row) + col, c.stride);
        finish(row, rows, col, cols);
      });
      return;
    }
  }
#endif
  // Only weights are read transposed. The panels of a kept copy follow one another and have all columns: they need not
  // stay in a cache until all threads have used them.
  const auto numbers = numbers_of<T>(cpu.precision);
  using Right = PackedRight<T>;
  const auto kept = b.transposed ? cpu.kept_weights.find(b.data, n, k, Right::size(numbers, n, k))
                                 : typename decltype(cpu.kept_weights)::Copy{};
  const bool packed_already = kept.packed && *kept.complete;
  const int most_cols = kept.packed ? n : panel_cols<T>(numbers);
  T* const memory =
      kept.packed ? kept.packed : cpu.shared_packing.reserve(Right::size(numbers, most_cols, Blocks::panel_depth));
  for_each_panel<T>(n, k, most_cols, unit_of_terms<T>(numbers), [&](int col, int cols, int p, int depth) {
    const std::ptrdiff_t offset = kept.packed ? std::ptrdiff_t{steps(numbers, p)} * Blocks::padded(n) : 0;
    const Right right(numbers, cols, depth, memory + offset);
    if (!packed_already) cpu.threads.run(right.pieces(), [&](int piece, int) { right.pack(piece, b.at(p, col)); });
    const auto sum = p > 0 ? Addend<T>{c.data + col, c.stride} : addend.at(0, col);
    const Tiling tiling(m, cols, depth, tiles_per_thread * cpu.threads.threads());
    cpu.run_tiles(tiling.count(), [&](int tile, int worker) {
      const int i = tile / tiling.col_tiles, j = tile % tiling.col_tiles;
      const int row = cut(m, tiling.row_tiles, Blocks::line, i);
      const int rows = cut(m, tiling.row_tiles, Blocks::line, i + 1) - row;
      const int first = cut(right.strips(), tiling.col_tiles, 1, j);
      const int last = cut(right.strips(), tiling.col_tiles, 1, j + 1);
      T* const left = cpu.packing[worker].reserve(left_size<T>(numbers, k));
      multiply_packed(rows, depth, a.at(row, p), right, first, last, sum.at(row, 0), c.row(row) + col, c.stride, left);
      if (p + depth == k)
        finish(row, rows, col + right.strip_begin(first), right.strip_begin(last) - right.strip_begin(first));
    });
  });
  if (kept.packed) *kept.complete = true;  // not if an error ended this before
}

}  // namespace cpu_gemm

template <class T>
void compute(CpuEngine<T>& cpu, const ops::LinearOf<T>& op) {
  const auto x = op.x, w = op.w, bias = op.bias, y = op.y;
  if constexpr (std::is_same_v<T, float>)
    if (op.quantized) return cpu_int8::linear<cpu_int8::Kernel>(cpu, x, *op.quantized, bias, op.activation, y);
  if (!w && x.cols > 0)
    throw ConfigError(
        "a linear map got no weights: a module whose parameter is held as int8 must pass it as quantized");
  assert(x.cols == w.cols && y.rows == x.rows && y.cols == w.rows && (!bias || bias.cols == y.cols));
  cpu_gemm::product<T>(cpu, y.rows, y.cols, x.cols, {x.data, x.stride, false}, {w.data, w.stride, true}, {bias.data, 0},
                       op.activation, y);
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::LinearInputGradientOf<T>& op) {
  const auto dy = op.dy, w = op.w, dx = op.dx;
  const bool accumulate = op.into == Into::Add;
  assert(dy.cols == w.rows && dx.rows == dy.rows && dx.cols == w.cols);
  cpu_gemm::product<T>(cpu, dx.rows, dx.cols, dy.cols, {dy.data, dy.stride, false}, {w.data, w.stride, false},
                       {accumulate ? dx.data : nullptr, dx.stride}, Activation::Identity, dx);
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::LinearWeightGradientOf<T>& op) {
  const auto dy = op.dy, x = op.x, dw = op.dw;
  assert(dy.rows == x.rows && dw.rows == dy.cols && dw.cols == x.cols);
  cpu_gemm::product<T>(cpu, dw.rows, dw.cols, dy.rows, {dy.data, dy.stride, true}, {x.data, x.stride, false},
                       {dw.data, dw.stride}, Activation::Identity, dw);
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::BiasGradientOf<T>& op) {
  const auto dy = op.dy, db = op.db;
  assert(db.cols == dy.cols);
  using Row = Eigen::Map<Eigen::Array<T, 1, Eigen::Dynamic>>;
  constexpr int grain = 64;  // columns: one task sums each over all rows
  cpu.split(dy.cols, grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    Row sum(db.data + first, count);
    for (int r = 0; r < dy.rows; ++r) sum += Row(dy.row(r) + first, count);
  });
}

}  // namespace neural_attention
