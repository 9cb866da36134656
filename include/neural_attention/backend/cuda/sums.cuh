// Sums over rows, columns and everything, in a fixed order.
#pragma once

#include "neural_attention/backend/cuda/device.cuh"

namespace neural_attention::cuda_backend {

/// total[c] += Σ partial[r][c], in the order of r; partial's rows are `stride` apart. One thread a column.
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

inline constexpr int sum_threads = 256;

/// The sum of what the threads of a block of sum_threads give, in a fixed order, in thread 0.
__device__ inline double block_sum(double mine) {
  __shared__ double of_threads[sum_threads];
  of_threads[threadIdx.x] = mine;
  for (int half = sum_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) of_threads[threadIdx.x] += of_threads[threadIdx.x + half];
  }
  return threadIdx.x == 0 ? of_threads[0] : 0.0;  // the others do not wait for the last sum
}

/// sums[c] = Σ x[r][c]; a block a column.
template <class T>
__global__ void column_sums_kernel(RowsOf<T> x, double* sums) {
  const int col = static_cast<int>(blockIdx.x);
  double mine = 0.0;
  for (int r = static_cast<int>(threadIdx.x); r < x.rows; r += sum_threads)
    mine += static_cast<double>(static_cast<float>(x.row(r)[col]));
  const double total = block_sum(mine);
  if (threadIdx.x == 0) sums[col] = total;
}

template <class T>
void column_sums(RowsOf<T> x, double* sums, Stream stream) {
  launch("column_sums", column_sums_kernel<T>, dim3(static_cast<unsigned>(x.cols)), dim3(sum_threads), 0, stream, x,
         sums);
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

/// *total = Σ sums[i]. One block.
template <class T>
__global__ void total_kernel(const T* sums, int n, T* total) {
  T mine = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += sum_threads) mine += sums[i];
  const T all = block_sum(mine);
  if (threadIdx.x == 0) *total = all;
}

/// Partial sums that squared_norm needs.
inline int squared_norm_partials(std::ptrdiff_t n) { return pieces(n, squares_of_block); }

/// *total (on the device) = Σ x²; `partial` has squared_norm_partials(x.size()) numbers.
template <class T>
void squared_norm(RowsOf<T> x, double* partial, double* total, Stream stream) {
  const int blocks = squared_norm_partials(x.size());
  const auto run = [&]<bool Contiguous>() {
    launch("squared_norm", squares_kernel<T, Contiguous>, dim3(static_cast<unsigned>(blocks)), dim3(sum_threads), 0,
           stream, x, partial);
  };
  with_bools(run, x.contiguous());
  launch("squared_norm", total_kernel<double>, dim3(1), dim3(sum_threads), 0, stream, partial, blocks, total);
}

}  // namespace neural_attention::cuda_backend
