// Learned rational functions, forward and backward; core/operations/rational.hpp has the formulas. A thread keeps the
// coefficients of the columns that it takes in registers. The gradients of the coefficients are summed by blocks, each
// over every so many rows of one group of columns, and then over the blocks in order.
#pragma once

#include <algorithm>
#include <cassert>

#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/backend/cuda/sums.cuh"
#include "neural_attention/core/operations/rational.hpp"

namespace neural_attention::cuda_backend {

/// The polynomials of one group of columns. Loops over degrees run to the highest one, so that registers suffice.
struct RationalFunction {
  float a[highest_degree + 1] = {};
  float b[highest_degree] = {};

  template <class T>
  __device__ RationalFunction(const T* numerator, int of_p, const T* denominator, int of_q) {
    unrolled<highest_degree + 1>([&](auto i) {
      if (i < of_p) a[i] = static_cast<float>(numerator[i]);
    });
    unrolled<highest_degree>([&](auto j) {
      if (j < of_q) b[j] = fabsf(static_cast<float>(denominator[j]));
    });
  }

  __device__ float p(float x) const {
    float sum = 0.0f;
    unrolled<highest_degree + 1>([&](auto i) { sum = sum * x + a[highest_degree - i]; });
    return sum;
  }
  __device__ float q(float x) const {
    const float size = fabsf(x);
    float sum = 0.0f;
    unrolled<highest_degree>([&](auto j) { sum = (sum + b[highest_degree - 1 - j]) * size; });
    return sum + 1.0f;
  }
  __device__ float slope(float x, float p, float q) const {
    const float size = fabsf(x);
    float dp = 0.0f, dq = 0.0f;
    unrolled<highest_degree>([&](auto i) {
      constexpr int degree = highest_degree - i;
      dp = dp * x + static_cast<float>(degree) * a[degree];
      dq = dq * size + static_cast<float>(degree) * b[degree - 1];
    });
    return (dp - p / q * (x < 0.0f ? -dq : dq)) / q;
  }
};

/// The group of columns that column `col` is in.
__device__ inline int group_of_column(int col, int groups, int cols) {
  return static_cast<int>(((std::ptrdiff_t{col} + 1) * groups - 1) / cols);
}

enum class RationalPart { Forward, Backward };

/// y = P(x) / Q(x), or with dy, dx = dy · its slope, or dx += ….
template <class T, RationalPart part, Into into>
struct RationalMap {
  RowsOf<T> dy, x, numerator, denominator, y;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    const auto values = load<Aligned>(x.row(row) + col, count);
    Group<float> gradients{}, result{};
    if constexpr (part == RationalPart::Backward) gradients = load<Aligned>(dy.row(row) + col, count);
    if constexpr (into == Into::Add) result = load<Aligned>(y.row(row) + col, count);
    for (int i = 0; i < group; ++i) {
      if (i >= count) break;
      const int of_group = group_of_column(col + i, denominator.rows, x.cols);
      const RationalFunction f(numerator.data, numerator.cols, denominator.row(of_group), denominator.cols);
      const float p = f.p(values.at[i]), q = f.q(values.at[i]);
      result.at[i] += part == RationalPart::Backward ? gradients.at[i] * f.slope(values.at[i], p, q) : p / q;
    }
    store<Aligned>(y.row(row) + col, count, result);
  }
};

inline constexpr int rational_threads = 128, rational_sums = 2 * highest_degree + 1;

/// of_p [blocks, groups, m + 1] and of_q [blocks, groups, n] receive the sums over the rows of each block.
template <class T>
__global__ void rational_coefficients_kernel(RowsOf<T> dy, RowsOf<T> x, RowsOf<T> numerator, RowsOf<T> denominator,
                                             float* of_p, float* of_q) {
  __shared__ float of_warps[rational_threads / warp_size][rational_sums];
  const int block = static_cast<int>(blockIdx.x), group_index = static_cast<int>(blockIdx.y);
  const int groups = denominator.rows, thread = static_cast<int>(threadIdx.x);
  const T* const below = denominator.row(group_index);
  const RationalFunction f(numerator.data, numerator.cols, below, denominator.cols);
  const int begin = first_of_group(group_index, groups, x.cols), end = first_of_group(group_index + 1, groups, x.cols);
  float sums[rational_sums] = {};
  for (int row = block; row < x.rows; row += static_cast<int>(gridDim.x))
    for (int col = begin + thread; col < end; col += rational_threads) {
      const float value = static_cast<float>(x.row(row)[col]), gradient = static_cast<float>(dy.row(row)[col]);
      const float p = f.p(value), q = f.q(value);
      float power = gradient / q;
      unrolled<highest_degree + 1>([&](auto i) {
        sums[i] += power;
        power *= value;
      });
      power = -gradient * p / (q * q);
      unrolled<highest_degree>([&](auto j) {
        power *= fabsf(value);
        sums[highest_degree + 1 + j] += power;
      });
    }
  unrolled<rational_sums>([&](auto i) {
    const float sum = warp_sum(sums[i]);
    if (thread % warp_size == 0) of_warps[thread / warp_size][i] = sum;
  });
  __syncthreads();
  if (thread >= rational_sums) return;
  float total = 0.0f;
  for (int warp = 0; warp < rational_threads / warp_size; ++warp) total += of_warps[warp][thread];
  const int place = block * groups + group_index, j = thread - highest_degree - 1;
  if (j < 0 && thread < numerator.cols) of_p[std::ptrdiff_t{place} * numerator.cols + thread] = total;
  if (j >= 0 && j < denominator.cols)
    of_q[std::ptrdiff_t{place} * denominator.cols + j] = static_cast<float>(below[j]) < 0.0f ? -total : total;
}

template <class T>
void rational(RowsOf<T> x, RowsOf<T> numerator, RowsOf<T> denominator, RowsOf<T> y, Stream stream) {
  assert(x.rows == y.rows && x.cols == y.cols && numerator.cols <= highest_degree + 1);
  assert(denominator.rows >= 1 && denominator.cols <= highest_degree);
  map("rational", RationalMap<T, RationalPart::Forward, Into::Write>{{}, x, numerator, denominator, y}, x.rows, x.cols,
      aligned(x) && aligned(y), stream);
}

/// The blocks that sum the gradients of the coefficients: the workspace has rational_blocks(rows) · groups · (m + 1 +
/// n) floats. A function of the shape alone, for the same sums on every GPU.
inline int rational_blocks(int rows) {
  constexpr int most_blocks = 64, rows_of_block = 8;
  return std::min(most_blocks, pieces(rows, rows_of_block));
}

template <class T>
void rational_backward(RowsOf<T> dy, RowsOf<T> x, RowsOf<T> numerator, RowsOf<T> denominator, Into into, RowsOf<T> dx,
                       RowsOf<float> dnumerator, RowsOf<float> ddenominator, float* workspace, Stream stream) {
  assert(x.rows == dy.rows && x.cols == dy.cols && dx.rows == dy.rows && dx.cols == dy.cols);
  assert(dnumerator.cols == numerator.cols && ddenominator.size() == denominator.size());
  assert(numerator.cols <= highest_degree + 1 && denominator.rows >= 1 && denominator.cols <= highest_degree);
  if (x.size() == 0) return;
  const int blocks = rational_blocks(x.rows), groups = denominator.rows;
  float* const of_p = workspace;
  float* const of_q = workspace + std::ptrdiff_t{blocks} * groups * numerator.cols;
  launch("rational_coefficients", rational_coefficients_kernel<T>,
         dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(groups)), dim3(rational_threads), 0, stream, dy, x,
         numerator, denominator, of_p, of_q);
  add_rows(of_p, blocks * groups, numerator.cols, numerator.cols, dnumerator.data, stream);
  const int of_groups = groups * denominator.cols;
  add_rows(of_q, blocks, of_groups, of_groups, ddenominator.data, stream);
  const bool whole = aligned(dy) && aligned(x) && aligned(dx);
  const auto run = [&]<bool Accumulate>() {  // last: dx may be dy
    constexpr Into known = Accumulate ? Into::Add : Into::Write;
    map("rational_backward", RationalMap<T, RationalPart::Backward, known>{dy, x, numerator, denominator, dx}, x.rows,
        x.cols, whole, stream);
  };
  with_bools(run, into == Into::Add);
}

}  // namespace neural_attention::cuda_backend
