// Sums over rows, over columns and over all elements, in a fixed order.
#pragma once

#include <algorithm>
#include <cassert>

#include "neural_attention/backend/cuda/device.cuh"

namespace neural_attention::cuda_backend {

/// total[c] += Σ partial[r][c], in the order of r; partial's rows are `stride` apart. One thread for each column.
template <class T>
__global__ void add_rows_kernel(const T* partial, int rows, int cols, std::ptrdiff_t stride, T* total) {
  const int col = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (col >= cols) return;
  T sum = 0;
  for (int r = 0; r < rows; ++r) sum += partial[r * stride + col];
  total[col] += sum;
}

inline void add_rows(const float* partial, int rows, int cols, std::ptrdiff_t stride, float* total, Stream stream) {
  constexpr int threads = 128;
  launch("add_rows", add_rows_kernel<float>, dim3(static_cast<unsigned>(pieces(cols, threads))), dim3(threads), 0,
         stream, partial, rows, cols, stride, total);
}

inline constexpr int column_warps = 8;  ///< of a block

/// partial [chunks, cols] = column sums over each `rows_of_chunk` rows of x. A warp takes 32 groups of columns and
/// every eighth row; its block adds up the sums of its warps.
template <class T, bool Aligned>
__global__ void column_partials_kernel(RowsOf<T> x, int rows_of_chunk, float* partial) {
  __shared__ Group<float> of_warps[column_warps][warp_size];
  const int lane = static_cast<int>(threadIdx.x) % warp_size, warp = static_cast<int>(threadIdx.x) / warp_size;
  const int col = (static_cast<int>(blockIdx.x) * warp_size + lane) * group, chunk = static_cast<int>(blockIdx.y);
  const int count = x.cols - col < group ? x.cols - col : group, first = chunk * rows_of_chunk;
  const int end = x.rows - first < rows_of_chunk ? x.rows : first + rows_of_chunk;
  Group<float> sums{};
  const auto add = [&](const Group<float>& values) {
    for (int i = 0; i < group; ++i) sums.at[i] += values.at[i];
  };
  if (col < x.cols)
    for (int row = first + warp; row < end; row += column_warps) add(load<Aligned>(x.row(row) + col, count));
  of_warps[warp][lane] = sums;
  __syncthreads();
  if (warp > 0 || col >= x.cols) return;
  for (int other = 1; other < column_warps; ++other) add(of_warps[other][lane]);
  store<Aligned>(partial + std::ptrdiff_t{chunk} * x.cols + col, count, sums);
}

/// The number of rows that bias_gradient sums at a time: a function of the shape alone.
inline int rows_of_chunk(int rows) {
  constexpr int least_rows = 64, most_chunks = 64;
  return std::max(least_rows, pieces(rows, most_chunks));
}
/// Rows of partial sums that bias_gradient needs: its workspace has bias_gradient_partials(rows) · cols floats.
inline int bias_gradient_partials(int rows) { return pieces(rows, rows_of_chunk(rows)); }

/// db += column sums of dy
template <class T>
void bias_gradient(RowsOf<T> dy, RowsOf<float> db, float* workspace, Stream stream) {
  assert(db.cols == dy.cols);
  const int chunks = bias_gradient_partials(dy.rows);
  const dim3 grid(static_cast<unsigned>(pieces(dy.cols, warp_size * group)), static_cast<unsigned>(chunks));
  const auto run = [&]<bool Aligned>() {
    launch("bias_gradient", column_partials_kernel<T, Aligned>, grid, dim3(column_warps * warp_size), 0, stream, dy,
           rows_of_chunk(dy.rows), workspace);
  };
  with_bools(run, aligned(dy));
  add_rows(workspace, chunks, dy.cols, dy.cols, db.data, stream);
}

inline constexpr int sum_threads = 256;

/// The sum of the threads' values in a block of sum_threads, in a fixed order, in thread 0.
__device__ inline double block_sum(double mine) {
  __shared__ double of_threads[sum_threads];
  of_threads[threadIdx.x] = mine;
  for (int half = sum_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) of_threads[threadIdx.x] += of_threads[threadIdx.x + half];
  }
  return threadIdx.x == 0 ? of_threads[0] : 0.0;  // the others do not wait for the last sum
}

inline constexpr int squares_of_block = 16384;

/// sums[block] = Σ x² over the block's part of all elements, row after row.
template <class T, bool Contiguous>
__global__ void squares_kernel(RowsOf<T> x, double* sums) {
  const auto n = x.size(), first = std::ptrdiff_t{blockIdx.x} * squares_of_block;
  const auto end = n - first < squares_of_block ? n : first + squares_of_block;
  double mine = 0.0;
  for (auto i = first + threadIdx.x; i < end; i += sum_threads) {
    const T element = Contiguous ? x.data[i] : x.row(static_cast<int>(i / x.cols))[i % x.cols];
    const auto value = static_cast<double>(static_cast<float>(element));
    mine += value * value;
  }
  const double total = block_sum(mine);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

/// Σ sums[i] in thread 0 of the only block.
__device__ inline double total_of(const double* sums, int n) {
  double mine = 0.0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += sum_threads) mine += sums[i];
  return block_sum(mine);
}

/// Partial sums that sum_squares makes of n elements.
inline int squared_norm_partials(std::ptrdiff_t n) { return pieces(n, squares_of_block); }

/// partial, of squared_norm_partials(x.size()) numbers: their sum is Σ x².
template <class T>
void sum_squares(RowsOf<T> x, double* partial, Stream stream) {
  const dim3 grid(static_cast<unsigned>(squared_norm_partials(x.size())));
  const auto run = [&]<bool Contiguous>() {
    launch("squared_norm", squares_kernel<T, Contiguous>, grid, dim3(sum_threads), 0, stream, x, partial);
  };
  with_bools(run, x.contiguous());
}

template <class T>
__global__ void total_kernel(const T* sums, int n, T* total) {
  const T all = total_of(sums, n);
  if (threadIdx.x == 0) *total = all;
}

/// *total (on the device) = Σ x²; `partial` has squared_norm_partials(x.size()) numbers.
template <class T>
void squared_norm(RowsOf<T> x, double* partial, double* total, Stream stream) {
  sum_squares(x, partial, stream);
  launch("squared_norm", total_kernel<double>, dim3(1), dim3(sum_threads), 0, stream, partial,
         squared_norm_partials(x.size()), total);
}

}  // namespace neural_attention::cuda_backend
