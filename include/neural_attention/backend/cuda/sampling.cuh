// Draws a token of each row of logits. SamplingShape keeps the elements whose keys (choosing.cuh) are not below a
// certain key. Bisection finds it: first by their number, then by their weights exp((x - largest) / temperature);
// min_p, a bound on the weight, becomes a bound on x. The draw finds its place first in the sums of the warps' parts of
// the row, then in the part of one warp.
#pragma once

#include <algorithm>
#include <cassert>
#include <climits>
#include <cmath>
#include <cstdint>
#include <limits>

#include "neural_attention/backend/cuda/choosing.cuh"
#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/core/kinds.hpp"

namespace neural_attention::cuda_backend {

/// SamplingShape as a kernel takes it; top_k 0 or an infinite depth keeps all.
struct Sampling {
  float coldness;
  int top_k;
  double top_p;
  float depth;  ///< elements this far below the largest are left out: -log(min_p) · temperature
};

/// The weights of the elements of one row.
template <class T, bool Aligned>
struct RowWeights {
  const T* row;
  int cols;
  float largest, coldness;

  __device__ float weight(float x) const { return expf((x - largest) * coldness); }

  /// The weight of the elements whose keys are not below `least`, and the number of those that count.
  struct Sums {
    WarpSums<double> weights;
    int count;
  };
  __device__ Sums sums(std::uint64_t least) const {
    double mine = 0.0;
    int count = 0;
    for_each_element<Aligned>(row, cols, [&](float x, int col) {
      const auto key = order_key(x, col);
      if (key < least) return;
      mine += static_cast<double>(weight(x));
      count += key > 0 ? 1 : 0;
    });
    return {sums_of_warps(warp_sum(mine)), sums_of_warps(warp_sum(count)).all};
  }

  /// The largest key such that the elements not below it weigh at least `wanted`. The elements not below `least` weigh
  /// enough, and there are `count` of them.
  __device__ std::uint64_t nucleus(std::uint64_t least, int count, double wanted) const {
    auto too_large = key_above(largest);
    int above = 0;  // the number of elements not below too_large
    while (count - above > 1 && too_large - least > 1) {
      const auto middle = least + (too_large - least) / 2;
      const auto of_middle = sums(middle);
      if (of_middle.weights.all < wanted) {
        too_large = middle;
        above = of_middle.count;
      } else {
        least = middle;
        count = of_middle.count;
      }
    }
    return least;
  }

  /// The column whose share of the weight of this warp's elements holds `left`; all lanes get it.
  __device__ int draw_in_warp(std::uint64_t least, double left) const {
    const int warp = static_cast<int>(threadIdx.x) / warp_size, lane = static_cast<int>(threadIdx.x) % warp_size;
    const int end = first_column(warp + 1, cols);
    int last = -1;  // after rounding, `left` may lie beyond the last share
    for (int first = first_column(warp, cols); first < end; first += warp_size * group) {
      const int col = first + lane * group, count = end - col < group ? end - col : group;
      double weights[group] = {}, sum = 0.0;
      if (count > 0) {
        const auto values = load_of_row<Aligned>(row + col, count);
        for (int i = 0; i < count; ++i)
          if (order_key(values.at[i], col + i) >= least) sum += weights[i] = static_cast<double>(weight(values.at[i]));
      }
      const double up_to = sum_of_lanes(sum);
      const double before = __shfl_sync(all_lanes, up_to, lane > 0 ? lane - 1 : 0);
      double at = lane > 0 ? before : 0.0;
      int found = INT_MAX;
      for (int i = 0; i < group; ++i) {
        at += weights[i];
        if (!(weights[i] > 0.0)) continue;
        last = col + i;
        if (left < at && found == INT_MAX) found = col + i;
      }
      for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) {
        const int other = __shfl_xor_sync(all_lanes, found, lanes);
        found = other < found ? other : found;
      }
      if (found < INT_MAX) return found;
      left -= __shfl_sync(all_lanes, up_to, warp_size - 1);
    }
    for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) {
      const int other = __shfl_xor_sync(all_lanes, last, lanes);
      last = other > last ? other : last;
    }
    return last;
  }
};

template <class T, bool Aligned>
__global__ void sample_kernel(RowsOf<T> x, Sampling how, const double* uniforms, int* columns) {
  const T* const row = x.row(static_cast<int>(blockIdx.x));
  int* const column = columns + blockIdx.x;
  const auto largest = largest_of_threads<Aligned>(row, x.cols, how.top_k > 0 ? how.top_k : 1);
  const RowWeights<T, Aligned> weights{row, x.cols, largest.first, how.coldness};
  std::uint64_t least = 0;
  if (threadIdx.x == 0) *column = -1;
  if (largest.first == -INFINITY || largest.first == INFINITY) return;
  if (how.top_k > 0) least = select_largest<Aligned>(row, x.cols, how.top_k, how.top_k, largest).least;
  if (how.top_p < 1.0) {
    const auto before = weights.sums(least);
    least = weights.nucleus(least > 0 ? least : 1, before.count, how.top_p * before.weights.all);
  }
  if (how.depth < INFINITY) {
    const auto bound = std::uint64_t{ordered_bits(largest.first - how.depth)} << 32;
    least = bound > least ? bound : least;
  }
  const auto sums = weights.sums(least).weights;
  double place = uniforms[blockIdx.x] * sums.all;
  if (place >= sums.all) place = nextafter(sums.all, 0.0);
  if (!(place >= sums.before && place < sums.up_to)) return;
  const int drawn = weights.draw_in_warp(least, place - sums.before);
  if (threadIdx.x % warp_size == 0) *column = drawn;
}

/// columns and uniforms [rows] lie on the device.
template <class T>
void sample(RowsOf<T> x, const SamplingShape& how, const double* uniforms, int* columns, Stream stream) {
  assert(how.temperature > 0.0);
  const double depth = how.min_p > 0.0 ? -std::log(how.min_p) * how.temperature : INFINITY;
  constexpr double largest = std::numeric_limits<float>::max();  // 0 times it must stay 0
  const Sampling sampling{static_cast<float>(std::min(1.0 / how.temperature, largest)), std::min(how.top_k, x.cols),
                          how.top_p, static_cast<float>(depth)};
  const auto run = [&]<bool Aligned>() {
    launch("sample", sample_kernel<T, Aligned>, dim3(static_cast<unsigned>(x.rows)), dim3(choosing_threads), 0, stream,
           x, sampling, uniforms, columns);
  };
  with_bools(run, rows_aligned(x));
}

}  // namespace neural_attention::cuda_backend
