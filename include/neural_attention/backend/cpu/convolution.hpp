// Depthwise convolution on the CPU, row by row: the few rows that a row is made of are still in the cache.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>

#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

namespace neural_attention {
namespace cpu_convolution {

/// Calls use(row, begin, end) for rows first … first+count-1, with the rows begin … end-1 of the row's sequence.
void for_each_row(const Ragged& sequences, int first, int count, auto&& use) {
  int s = sequences.sequence_of(first);
  for (int row = first; row < first + count; ++row) {
    while (row >= sequences.begin(s) + sequences.length(s)) ++s;
    use(row, sequences.begin(s), sequences.begin(s) + sequences.length(s));
  }
}

/// y_t = Σ_j kernel_j ⊙ x_{t + shift + direction · j}, or y_t += …
template <class T>
void convolve(CpuEngine<T>& cpu, RowsOf<T> x, RowsOf<T> kernel, int shift, int direction, const Ragged& sequences,
              Into into, RowsOf<T> y) {
  using Block = cpu_blocks::Block<T>;
  cpu.split(y.rows, cpu_blocks::row_grain(y.cols), [&](std::ptrdiff_t from, std::ptrdiff_t count, int) {
    for_each_row(sequences, static_cast<int>(from), static_cast<int>(count), [&](int row, int begin, int end) {
      T* const to = y.row(row);
      cpu_blocks::store(to, y.cols, [&](auto at) -> Block {
        Block sum = Block::Zero();
        for (int j = 0; j < kernel.rows; ++j) {
          const int seen = row + shift + direction * j;
          if (seen >= begin && seen < end) sum += at(kernel.row(j)) * at(x.row(seen));
        }
        if (into == Into::Add) sum += at(to);
        return sum;
      });
    });
  });
}

}  // namespace cpu_convolution

template <class T>
void compute(CpuEngine<T>& cpu, const ops::DepthwiseConvolutionOf<T>& op) {
  assert(op.x.rows == op.sequences.total() && op.y.rows == op.x.rows && op.y.cols == op.x.cols);
  assert(op.kernel.cols == op.x.cols && op.x.data != op.y.data);
  cpu_convolution::convolve(cpu, op.x, op.kernel, op.ahead, -1, op.sequences, Into::Write, op.y);
}

/// The kernel's gradient is summed within chunks of rows, then over the chunks in order.
template <class T>
void compute(CpuEngine<T>& cpu, const ops::DepthwiseConvolutionBackwardOf<T>& op) {
  const auto dy = op.dy, x = op.x, kernel = op.kernel, dkernel = op.dkernel;
  assert(x.rows == op.sequences.total() && dy.rows == x.rows && dy.cols == x.cols && kernel.cols == x.cols);
  assert(op.dx.rows == x.rows && op.dx.cols == x.cols && dkernel.rows == kernel.rows && op.dx.data != dy.data);
  if (x.size() == 0) return;
  using Block = cpu_blocks::Block<T>;
  cpu_convolution::convolve(cpu, dy, kernel, -op.ahead, 1, op.sequences, op.into, op.dx);
  constexpr std::ptrdiff_t most_chunks = 32;
  const std::ptrdiff_t rows = cpu_blocks::row_grain(x.cols), cols = x.cols, size = kernel.rows * cols;
  const int chunks = static_cast<int>(std::min(most_chunks, (x.rows + rows - 1) / rows));
  T* const sums = cpu.workspaces[0].reserve(static_cast<std::size_t>(chunks * size));
  cpu.threads.run(chunks, [&](int chunk, int) {
    T* const sum = sums + chunk * size;
    std::fill_n(sum, size, T(0));
    const auto first = static_cast<int>(std::ptrdiff_t{x.rows} * chunk / chunks);
    const auto last = static_cast<int>(std::ptrdiff_t{x.rows} * (chunk + 1) / chunks);
    cpu_convolution::for_each_row(op.sequences, first, last - first, [&](int row, int begin, int end) {
      for (int j = 0; j < kernel.rows; ++j) {
        const int seen = row + op.ahead - j;
        if (seen < begin || seen >= end) continue;
        T* const to = sum + j * cols;
        const T *const gradient = dy.row(row), *const from = x.row(seen);
        cpu_blocks::store(to, cols, [&](auto at) -> Block { return at(to) + at(gradient) * at(from); });
      }
    });
  });
  for (int j = 0; j < kernel.rows; ++j)
    for (int chunk = 0; chunk < chunks; ++chunk) {
      T* const to = dkernel.row(j);
      const T* const sum = sums + chunk * size + j * cols;
      cpu_blocks::store(to, cols, [&](auto at) -> Block { return at(to) + at(sum); });
    }
}

}  // namespace neural_attention
