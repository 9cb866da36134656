// Linear maps on the CPU: y = f(x wᵀ + b) and its gradients. The output is cut into tiles, each computed by one thread;
// how depends on the shape and the number of threads, but no cut touches the order of a sum over k, so results do not.
#pragma once

#include <Eigen/Core>
#include <cassert>

#include "neural_attention/backend/cpu/activations.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/backend/cpu/gemm.hpp"

namespace neural_attention {

template <class T>
std::string Cpu<T>::engine() {
  return cpu_gemm::engine_name();
}

template <class T>
void Cpu<T>::multiply(int m, int n, int k, Operand a, Operand b, cpu_gemm::Addend<T> addend, Activation f, Matrix c) {
  using Blocks = cpu_gemm::Blocks<T>;
  constexpr int tiles_per_thread = 4;  // so that a thread that is held up does not hold up the others for long
  const auto finish = [&](int row, int rows, int col, int cols) {
    if (f == Activation::Identity) return;
    for (int r = row; r < row + rows; ++r) cpu_elementwise::apply(f, c.row(r) + col, c.row(r) + col, cols);
  };
  if (m <= cpu_gemm::few_rows && !a.transposed && b.transposed && precision_ == Precision::Float32) {
    const cpu_gemm::Tiling tiling(m, n, k, tiles_per_thread * threads());
    run_tiles(tiling.col_tiles, [&](int tile, int) {
      const int col = cpu_gemm::cut(n, tiling.col_tiles, 16, tile),
                end = cpu_gemm::cut(n, tiling.col_tiles, 16, tile + 1);
      cpu_gemm::multiply_few_rows(m, end - col, k, a, b.at(0, col), addend.at(0, col), c.data + col, c.stride);
      finish(0, m, col, end - col);
    });
    return;
  }
#if defined(NEURAL_ATTENTION_ONEDNN)
  if constexpr (std::is_same_v<T, float>) {
    if (precision_ == Precision::Float32) {
      constexpr int tiles = 32;  // whatever the threads: oneDNN's sums may depend on the shape of a tile
      const cpu_gemm::Tiling tiling(m, n, k, tiles);
      threads_.run(tiling.count(), [&](int tile, int) {
        const int i = tile / tiling.col_tiles, j = tile % tiling.col_tiles;
        const int row = cpu_gemm::cut(m, tiling.row_tiles, Blocks::line, i);
        const int rows = cpu_gemm::cut(m, tiling.row_tiles, Blocks::line, i + 1) - row;
        const int col = cpu_gemm::cut(n, tiling.col_tiles, Blocks::line, j);
        const int cols = cpu_gemm::cut(n, tiling.col_tiles, Blocks::line, j + 1) - col;
        cpu_gemm::onednn_gemm(rows, cols, k, a.at(row, 0), b.at(0, col), addend.at(row, col), c.row(row) + col,
                              c.stride);
        finish(row, rows, col, cols);
      });
      return;
    }
  }
#endif
  // Only weights are read transposed. The panels of a kept copy follow one another, and have all columns: they need not
  // stay in a cache until all threads have used them.
  const auto kept = b.transposed ? kept_weights_.find(b.data, n, k, std::size_t(Blocks::padded(n)) * std::size_t(k))
                                 : typename decltype(kept_weights_)::Copy{};
  T* const memory = kept.packed ? kept.packed : shared_packing_.reserve(cpu_gemm::PackedRight<T>::size);
  cpu_gemm::for_each_panel<T>(n, k, kept.packed ? n : Blocks::panel_cols, [&](int col, int cols, int p, int depth) {
    const std::ptrdiff_t offset = kept.packed ? std::ptrdiff_t{p} * Blocks::padded(n) : 0;
    const cpu_gemm::PackedRight<T> right(cols, depth, memory + offset);
    if (!kept.packed || kept.is_new)
      threads_.run(right.pieces(), [&](int piece, int) { right.pack(piece, b.at(p, col), precision_); });
    const auto sum = p > 0 ? cpu_gemm::Addend<T>{c.data + col, c.stride} : addend.at(0, col);
    const cpu_gemm::Tiling tiling(m, cols, depth, tiles_per_thread * threads());
    run_tiles(tiling.count(), [&](int tile, int worker) {
      const int i = tile / tiling.col_tiles, j = tile % tiling.col_tiles;
      const int row = cpu_gemm::cut(m, tiling.row_tiles, Blocks::line, i);
      const int rows = cpu_gemm::cut(m, tiling.row_tiles, Blocks::line, i + 1) - row;
      const int first = cpu_gemm::cut(right.strips(), tiling.col_tiles, 1, j);
      const int last = cpu_gemm::cut(right.strips(), tiling.col_tiles, 1, j + 1);
      T* const left = packing_[worker].reserve(Blocks::left_size);
      cpu_gemm::multiply_packed(rows, depth, a.at(row, p), right, first, last, sum.at(row, 0), c.row(row) + col,
                                c.stride, precision_, left);
      if (p + depth == k)
        finish(row, rows, col + first * Blocks::cols, std::min(cols, last * Blocks::cols) - first * Blocks::cols);
    });
  });
}

template <class T>
void Cpu<T>::linear(Matrix x, Matrix w, Matrix bias, Activation f, Matrix y) {
  assert(x.cols == w.cols && y.rows == x.rows && y.cols == w.rows && (!bias || bias.cols == y.cols));
  multiply(y.rows, y.cols, x.cols, {x.data, x.stride, false}, {w.data, w.stride, true}, {bias.data, 0}, f, y);
}

template <class T>
void Cpu<T>::linear_input_gradient(Matrix dy, Matrix w, bool accumulate, Matrix dx) {
  assert(dy.cols == w.rows && dx.rows == dy.rows && dx.cols == w.cols);
  multiply(dx.rows, dx.cols, dy.cols, {dy.data, dy.stride, false}, {w.data, w.stride, false},
           {accumulate ? dx.data : nullptr, dx.stride}, Activation::Identity, dx);
}

template <class T>
void Cpu<T>::linear_weight_gradient(Matrix dy, Matrix x, Matrix dw) {
  assert(dy.rows == x.rows && dw.rows == dy.cols && dw.cols == x.cols);
  multiply(dw.rows, dw.cols, dy.rows, {dy.data, dy.stride, true}, {x.data, x.stride, false}, {dw.data, dw.stride},
           Activation::Identity, dw);
}

template <class T>
void Cpu<T>::bias_gradient(Matrix dy, Matrix db) {
  assert(db.cols == dy.cols);
  using Row = Eigen::Map<Eigen::Array<T, 1, Eigen::Dynamic>>;
  constexpr int grain = 64;  // columns: each is summed over all rows by one task
  split(dy.cols, grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    Row sum(db.data + first, count);
    for (int r = 0; r < dy.rows; ++r) sum += Row(dy.row(r) + first, count);
  });
}

}  // namespace neural_attention
