// Depthwise convolution of packed sequences: a thread takes a group of columns of one row, and looks for the row's
// sequence in the offsets.
#pragma once

#include <cassert>

#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/backend/cuda/sums.cuh"
#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::cuda_backend {

/// The rows begin … end-1 of a sequence.
struct RowRange {
  int begin, end;
};

/// Where each sequence begins, and after the last the number of rows.
struct SequenceOffsets {
  const int* at;
  int sequences;

  __device__ RowRange of(int row) const {
    int low = 0, high = sequences - 1;  // the last sequence that begins at or before the row: it is not empty
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (at[middle] <= row)
        low = middle;
      else
        high = middle - 1;
    }
    return {at[low], at[low + 1]};
  }
};

/// y_t = Σ_j kernel_j ⊙ x_{t + shift + direction · j}, or y_t += …
template <class T, bool Accumulate>
struct ConvolutionMap {
  RowsOf<T> x, kernel, y;
  SequenceOffsets sequences;
  int shift, direction;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    const auto range = sequences.of(row);
    Group<float> sum{};
    if constexpr (Accumulate) sum = load<Aligned>(y.row(row) + col, count);
    for (int j = 0; j < kernel.rows; ++j) {
      const int seen = row + shift + direction * j;
      if (seen < range.begin || seen >= range.end) continue;
      const auto weights = load<Aligned>(kernel.row(j) + col, count), values = load<Aligned>(x.row(seen) + col, count);
      for (int i = 0; i < group; ++i) sum.at[i] += weights.at[i] * values.at[i];
    }
    store<Aligned>(y.row(row) + col, count, sum);
  }
};

template <class T>
void convolve(RowsOf<T> x, RowsOf<T> kernel, int shift, int direction, SequenceOffsets sequences, Into into,
              RowsOf<T> y, Stream stream) {
  assert(x.rows == y.rows && x.cols == y.cols && kernel.cols == x.cols);
  const auto run = [&]<bool Accumulate>() {
    map("depthwise_convolution", ConvolutionMap<T, Accumulate>{x, kernel, y, sequences, shift, direction}, y.rows,
        y.cols, aligned(x) && aligned(kernel) && aligned(y), stream);
  };
  with_bools(run, into == Into::Add);
}

/// partial [taps, chunks, cols] = Σ_t dy_t ⊙ x_{t + ahead - tap} over each `rows_of_chunk` rows. A warp takes 32 groups
/// of columns and every eighth row; its block adds up the sums of its warps. A block has one chunk and one tap.
template <class T, bool Aligned>
__global__ void kernel_partials_kernel(RowsOf<T> dy, RowsOf<T> x, int ahead, int chunks, SequenceOffsets sequences,
                                       int rows_of_chunk, float* partial) {
  __shared__ Group<float> of_warps[column_warps][warp_size];
  const int lane = static_cast<int>(threadIdx.x) % warp_size, warp = static_cast<int>(threadIdx.x) / warp_size;
  const int col = (static_cast<int>(blockIdx.x) * warp_size + lane) * group;
  const int chunk = static_cast<int>(blockIdx.y) % chunks, tap = static_cast<int>(blockIdx.y) / chunks;
  const int count = x.cols - col < group ? x.cols - col : group, first = chunk * rows_of_chunk;
  const int end = x.rows - first < rows_of_chunk ? x.rows : first + rows_of_chunk;
  Group<float> sums{};
  if (col < x.cols)
    for (int row = first + warp; row < end; row += column_warps) {
      const auto range = sequences.of(row);
      const int seen = row + ahead - tap;
      if (seen < range.begin || seen >= range.end) continue;
      const auto gradients = load<Aligned>(dy.row(row) + col, count), values = load<Aligned>(x.row(seen) + col, count);
      for (int i = 0; i < group; ++i) sums.at[i] += gradients.at[i] * values.at[i];
    }
  of_warps[warp][lane] = sums;
  __syncthreads();
  if (warp > 0 || col >= x.cols) return;
  for (int other = 1; other < column_warps; ++other)
    for (int i = 0; i < group; ++i) sums.at[i] += of_warps[other][lane].at[i];
  store<Aligned>(partial + std::ptrdiff_t{blockIdx.y} * x.cols + col, count, sums);
}

/// dkernel_j += Σ_t dy_t ⊙ x_{t + ahead - j}. The workspace has taps · bias_gradient_partials(rows) · cols floats.
template <class T>
void kernel_gradient(RowsOf<T> dy, RowsOf<T> x, int ahead, SequenceOffsets sequences, RowsOf<float> dkernel,
                     float* workspace, Stream stream) {
  assert(dy.rows == x.rows && dy.cols == x.cols && dkernel.cols == x.cols);
  const int chunks = bias_gradient_partials(x.rows);
  const dim3 grid(static_cast<unsigned>(pieces(x.cols, warp_size * group)),
                  static_cast<unsigned>(chunks * dkernel.rows));
  const auto run = [&]<bool Aligned>() {
    launch("kernel_gradient", kernel_partials_kernel<T, Aligned>, grid, dim3(column_warps * warp_size), 0, stream, dy,
           x, ahead, chunks, sequences, rows_of_chunk(x.rows), workspace);
  };
  with_bools(run, aligned(dy) && aligned(x));
  for (int tap = 0; tap < dkernel.rows; ++tap)
    add_rows(workspace + std::ptrdiff_t{tap} * chunks * x.cols, chunks, x.cols, x.cols, dkernel.row(tap), stream);
}

}  // namespace neural_attention::cuda_backend
