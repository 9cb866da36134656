// What decoding needs from a row of logits: assignments, the sum of its exponentials, its k largest elements. A block
// takes a row, which stays in the second-level cache for its passes.
//
// Elements are ordered by keys of 64 bits: larger for larger elements and, among equal elements, for the first. No two
// keys are equal, so the k largest elements are exactly those whose keys are not below a certain key. Bisection finds
// it, starting from the largest element of each thread: k of these are not below the k-th of them, and few other
// elements are.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/backend/cuda/loss.cuh"

namespace neural_attention::cuda_backend {

/// x = value; another thread may write the same value at the same time.
template <class T>
__device__ void store_relaxed(T& x, T value) {
#if defined(__CUDACC__)
  using Bits = std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint32_t>;
  *reinterpret_cast<volatile Bits*>(&x) = std::bit_cast<Bits>(value);
#else
  std::atomic_ref<T>(x).store(value, std::memory_order_relaxed);
#endif
}

template <class T>
__global__ void assign_kernel(RowsOf<T> x, const int* rows, const int* cols, int count, T value) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) store_relaxed(x.row(rows[i])[cols[i]], value);
}

/// x[rows_i][cols_i] = value for `count` places, which lie on the device.
template <class T>
void assign(RowsOf<T> x, const int* rows, const int* cols, int count, T value, Stream stream) {
  constexpr int threads = 128;
  launch("assign", assign_kernel<T>, dim3(static_cast<unsigned>(pieces(count, threads))), dim3(threads), 0, stream, x,
         rows, cols, count, value);
}

template <class T, bool Aligned>
__global__ void log_sum_exp_kernel(RowsOf<T> x, double* sums) {
  const T* const row = x.row(static_cast<int>(blockIdx.x));
  const auto all = softmax_sums(x.cols, [=](int col, int count) { return load_of_row<Aligned>(row + col, count); });
  // Of -∞ alone it is -∞ + log 0.
  if (threadIdx.x == 0)
    sums[blockIdx.x] = static_cast<double>(all.largest) + log(static_cast<double>(all.exponentials));
}

/// sums (on the device) = log Σ exp of each row.
template <class T>
void log_sum_exp(RowsOf<T> x, double* sums, Stream stream) {
  const auto run = [&]<bool Aligned>() {
    launch("log_sum_exp", log_sum_exp_kernel<T, Aligned>, dim3(static_cast<unsigned>(x.rows)), dim3(loss_threads), 0,
           stream, x, sums);
  };
  with_bools(run, rows_aligned(x));
}

inline constexpr int choosing_threads = 256, choosing_warps = choosing_threads / warp_size;

/// The bits of x ordered as numbers are, where -0 is 0.
__device__ inline std::uint32_t ordered_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x == 0.0f ? 0.0f : x);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
/// 0 for an element that does not count: -∞.
__device__ inline std::uint64_t order_key(float x, int col) {
  return x > -INFINITY ? std::uint64_t{ordered_bits(x)} << 32 | ~static_cast<std::uint32_t>(col) : 0;
}
__device__ inline int column_of(std::uint64_t key) { return static_cast<int>(~static_cast<std::uint32_t>(key)); }
/// The key that lies above the keys of x and below the keys of everything larger.
__device__ inline std::uint64_t key_above(float x) { return (std::uint64_t{ordered_bits(x)} + 1) << 32; }

/// The beginning of the part of a row that a warp takes: a multiple of the columns that it reads at a time.
__device__ inline int first_column(int warp, int cols) {
  constexpr int at_a_time = warp_size * group;
  const int part = (cols + choosing_warps * at_a_time - 1) / (choosing_warps * at_a_time) * at_a_time;
  return static_cast<std::int64_t>(warp) * part < cols ? warp * part : cols;
}

/// use(x, col) for the elements of a row that this thread takes, in the order of columns.
template <bool Aligned, class T, class Use>
__device__ void for_each_element(const T* row, int cols, Use&& use) {
  const int warp = static_cast<int>(threadIdx.x) / warp_size, lane = static_cast<int>(threadIdx.x) % warp_size;
  const int end = first_column(warp + 1, cols);
  for (int col = first_column(warp, cols) + lane * group; col < end; col += warp_size * group) {
    const int count = end - col < group ? end - col : group;
    const auto values = load_of_row<Aligned>(row + col, count);
    for (int i = 0; i < group; ++i)
      if (i < count) use(values.at[i], col + i);
  }
}

/// For one number from each warp of a block: the sum up to and including this warp, and the sum of all.
template <class N>
struct WarpSums {
  N before, up_to, all;
};
template <class N>
__device__ WarpSums<N> sums_of_warps(N mine) {
  __shared__ N of_warps[choosing_warps];
  const int warp = static_cast<int>(threadIdx.x) / warp_size;
  __syncthreads();  // all have read the last ones
  if (threadIdx.x % warp_size == 0) of_warps[warp] = mine;
  __syncthreads();
  WarpSums<N> sums{};
  for (int i = 0; i < choosing_warps; ++i) {
    if (i == warp) sums.before = sums.all;
    sums.all += of_warps[i];
    if (i == warp) sums.up_to = sums.all;
  }
  return sums;
}

/// The sum over the lanes up to and including this one.
template <class N>
__device__ N sum_of_lanes(N mine) {
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  for (int distance = 1; distance < warp_size; distance *= 2) {
    const N other = __shfl_sync(all_lanes, mine, lane < distance ? lane : lane - distance);
    if (lane >= distance) mine += other;
  }
  return mine;
}

/// Of the largest elements of a block's threads: the largest and the k-th, or -∞ if there are fewer than k. NaN counts
/// as +∞, so in a usable row the largest is below +∞.
struct LargestOfThreads {
  float first, kth;
};
template <bool Aligned, class T>
__device__ LargestOfThreads largest_of_threads(const T* row, int cols, int k) {
  __shared__ float of_threads[choosing_threads];
  __shared__ LargestOfThreads result;
  const int me = static_cast<int>(threadIdx.x);
  float mine = -INFINITY;
  for_each_element<Aligned>(row, cols,
                            [&](float x, int) { mine = !(x <= mine) ? (x < INFINITY ? x : INFINITY) : mine; });
  of_threads[me] = mine;
  if (me == 0) result.kth = -INFINITY;
  __syncthreads();
  int before = 0;
  for (int i = 0; i < choosing_threads; ++i)
    before += of_threads[i] > mine || (of_threads[i] == mine && i < me) ? 1 : 0;
  if (before == 0) result.first = mine;
  if (before == k - 1) result.kth = mine;
  __syncthreads();
  return result;
}

/// Elements whose keys are not below `least`: their number, and how many of them belong to the threads before.
struct Selection {
  std::uint64_t least;
  int count, before;
};

/// The k largest elements of a row, possibly with more below them, at most `most` ≥ k in all; all elements that count
/// if they are fewer than k.
template <bool Aligned, class T>
__device__ Selection select_largest(const T* row, int cols, int k, int most, const LargestOfThreads& largest) {
  int mine = 0;
  const auto count = [&](std::uint64_t least) {
    mine = 0;
    for_each_element<Aligned>(row, cols, [&](float x, int col) { mine += order_key(x, col) >= least ? 1 : 0; });
    return sums_of_warps(warp_sum(mine)).all;
  };
  std::uint64_t least = largest.kth > -INFINITY ? std::uint64_t{ordered_bits(largest.kth)} << 32 : 1;
  std::uint64_t too_large = key_above(largest.first);
  int found = count(least), mine_found = mine;
  while (found > most) {
    const auto middle = least + (too_large - least) / 2;
    const int above = count(middle);
    if (above < k) {
      too_large = middle;
      continue;
    }
    least = middle;
    found = above;
    mine_found = mine;
  }
  const int up_to = sum_of_lanes(mine_found);
  const int of_warp = __shfl_sync(all_lanes, up_to, warp_size - 1);
  return {least, found, sums_of_warps(of_warp).before + up_to - mine_found};
}

/// An element and its column; -∞ and -1 for a missing element.
struct Chosen {
  float value;
  int column;
};

/// chosen [rows, k]; candidates [rows, most]. In a row with NaN or +∞, all elements are missing.
template <class T, bool Aligned>
__global__ void top_k_kernel(RowsOf<T> x, int k, int most, std::uint64_t* candidates, Chosen* chosen) {
  const auto row_index = static_cast<std::ptrdiff_t>(blockIdx.x);
  const T* const row = x.row(static_cast<int>(blockIdx.x));
  std::uint64_t* const keys = candidates + row_index * most;
  Chosen* const to = chosen + row_index * k;
  const auto largest = largest_of_threads<Aligned>(row, x.cols, k);
  if (largest.first == INFINITY) {
    for (int i = static_cast<int>(threadIdx.x); i < k; i += choosing_threads) to[i] = {-INFINITY, -1};
    return;
  }
  const auto selected = select_largest<Aligned>(row, x.cols, k, most, largest);
  int at = selected.before;
  for_each_element<Aligned>(row, x.cols, [&](float value, int col) {
    if (const auto key = order_key(value, col); key >= selected.least) keys[at++] = key;
  });
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < selected.count; i += choosing_threads) {
    const auto key = keys[i];
    int place = 0;
    for (int j = 0; j < selected.count; ++j) place += keys[j] > key ? 1 : 0;
    if (place < k) to[place] = {static_cast<float>(row[column_of(key)]), column_of(key)};
  }
  for (int i = selected.count + static_cast<int>(threadIdx.x); i < k; i += choosing_threads) to[i] = {-INFINITY, -1};
}

/// The number of candidates in a row from which top_k selects the k largest in order.
inline int top_k_candidates(int k) {
  constexpr int enough = 512;
  return std::max(k, enough);
}

/// chosen [rows, k], on the device; the workspace has rows · top_k_candidates(k) keys.
template <class T>
void top_k(RowsOf<T> x, int k, std::uint64_t* workspace, Chosen* chosen, Stream stream) {
  assert(k > 0 && k <= x.cols);
  const auto run = [&]<bool Aligned>() {
    launch("top_k", top_k_kernel<T, Aligned>, dim3(static_cast<unsigned>(x.rows)), dim3(choosing_threads), 0, stream, x,
           k, top_k_candidates(k), workspace, chosen);
  };
  with_bools(run, rows_aligned(x));
}

}  // namespace neural_attention::cuda_backend
