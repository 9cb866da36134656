// Factors for groups of neighbouring columns: y = x · f, dx = dy · f, df = Σ dy · x; with a sigmoid, σ(f) is the
// factor. In the backward pass a warp takes a group of a row; where each column has a factor of its own, a thread takes
// four of them.
#pragma once

#include <cassert>
#include <cstddef>

#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/backend/cuda/elementwise.cuh"

namespace neural_attention::cuda_backend {

template <bool Sigmoid>
struct GroupFactor {
  static __device__ float value(float f) { return Sigmoid ? 1.0f / (1.0f + expf(-f)) : f; }
  /// The derivative of a factor that is `value`.
  static __device__ float slope(float value) { return Sigmoid ? value * (1.0f - value) : 1.0f; }
};

template <class T, bool Sigmoid>
struct ScaleGroupsMap {
  RowsOf<T> x, f, y;
  int width;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    const T* const factors = f.row(f.rows == 1 ? 0 : row);
    auto values = load<Aligned>(x.row(row) + col, count);
    for (int i = 0; i < group; ++i)
      if (Aligned || i < count)
        values.at[i] *= GroupFactor<Sigmoid>::value(static_cast<float>(factors[(col + i) / width]));
    store<Aligned>(y.row(row) + col, count, values);
  }
};

template <class T>
void scale_groups(RowsOf<T> x, RowsOf<T> f, bool sigmoid, RowsOf<T> y, Stream stream) {
  assert(x.rows == y.rows && x.cols == y.cols && (f.rows == x.rows || f.rows == 1));
  assert(f.cols > 0 && x.cols % f.cols == 0);
  const auto run = [&]<bool Sigmoid>() {
    map("scale_groups", ScaleGroupsMap<T, Sigmoid>{x, f, y, x.cols / f.cols}, x.rows, x.cols, aligned(x) && aligned(y),
        stream);
  };
  with_bools(run, sigmoid);
}

template <class T, bool Sigmoid>
struct ScaleColumnsBackwardMap {
  RowsOf<T> dy, x, f, dx, df;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    auto gradients = load<Aligned>(dy.row(row) + col, count), values = load<Aligned>(x.row(row) + col, count);
    const auto factors = load<Aligned>(f.row(f.rows == 1 ? 0 : row) + col, count);
    for (int i = 0; i < group; ++i) {
      const float factor = GroupFactor<Sigmoid>::value(factors.at[i]);
      values.at[i] *= gradients.at[i] * GroupFactor<Sigmoid>::slope(factor);
      gradients.at[i] *= factor;
    }
    store<Aligned>(df.row(row) + col, count, values);
    store<Aligned>(dx.row(row) + col, count, gradients);
  }
};

inline constexpr int scale_groups_warps = 4;  ///< of a block

template <class T, bool Sigmoid>
__global__ void scale_groups_backward_kernel(RowsOf<T> dy, RowsOf<T> x, RowsOf<T> f, RowsOf<T> dx, RowsOf<T> df) {
  const auto at = std::ptrdiff_t{blockIdx.x} * scale_groups_warps + static_cast<int>(threadIdx.x) / warp_size;
  if (at >= df.size()) return;
  const auto row = static_cast<int>(at / df.cols), of_row = static_cast<int>(at % df.cols);
  const int width = x.cols / df.cols, end = (of_row + 1) * width;
  const float factor = GroupFactor<Sigmoid>::value(static_cast<float>(f.row(f.rows == 1 ? 0 : row)[of_row]));
  float sum = 0.0f;
  for (int c = of_row * width + static_cast<int>(threadIdx.x) % warp_size; c < end; c += warp_size) {
    const float gradient = static_cast<float>(dy.row(row)[c]);
    sum += gradient * static_cast<float>(x.row(row)[c]);
    dx.row(row)[c] = static_cast<T>(gradient * factor);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % warp_size == 0) df.row(row)[of_row] = static_cast<T>(sum * GroupFactor<Sigmoid>::slope(factor));
}

template <class T>
void scale_groups_backward(RowsOf<T> dy, RowsOf<T> x, RowsOf<T> f, bool sigmoid, RowsOf<T> dx, RowsOf<T> df,
                           Stream stream) {
  assert(x.rows == dy.rows && x.cols == dy.cols && dx.rows == dy.rows && dx.cols == dy.cols);
  assert((f.rows == x.rows || f.rows == 1) && df.rows == x.rows && df.cols == f.cols);
  assert(f.cols > 0 && x.cols % f.cols == 0);
  const char* const name = "scale_groups_backward";
  const auto run = [&]<bool Sigmoid>() {
    if (f.cols == x.cols) {
      const bool whole = aligned(dy) && aligned(x) && aligned(f) && aligned(dx) && aligned(df);
      return map(name, ScaleColumnsBackwardMap<T, Sigmoid>{dy, x, f, dx, df}, x.rows, x.cols, whole, stream);
    }
    launch(name, scale_groups_backward_kernel<T, Sigmoid>,
           dim3(static_cast<unsigned>(pieces(df.size(), scale_groups_warps))), dim3(scale_groups_warps * warp_size), 0,
           stream, dy, x, f, dx, df);
  };
  with_bools(run, sigmoid);
}

}  // namespace neural_attention::cuda_backend
