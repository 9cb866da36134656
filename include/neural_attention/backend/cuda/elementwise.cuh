// Element-wise kernels. A thread takes a group of neighbouring columns of one row. A block is as wide as a row; if rows
// are short, it takes several.
#pragma once

#include <algorithm>
#include <cassert>

#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::cuda_backend {

/// f.template run<Aligned>(row, col, count) for each group of columns.
template <bool Aligned, class F>
__global__ void map_kernel(F f, int rows, int cols, int col_blocks) {
  const auto blocks = static_cast<unsigned>(col_blocks);
  const int row = static_cast<int>(blockIdx.x / blocks * blockDim.y + threadIdx.y);
  const int col = static_cast<int>((blockIdx.x % blocks * blockDim.x + threadIdx.x) * group);
  if (row < rows && col < cols) f.template run<Aligned>(row, col, cols - col < group ? cols - col : group);
}

/// `whole` says that all groups are aligned in every matrix that f touches.
template <class F>
void map(const char* name, const F& f, int rows, int cols, bool whole, Stream stream) {
  if (rows == 0 || cols == 0) return;
  constexpr int threads = 256;
  const int groups = pieces(cols, group);
  const int width = std::min(threads, pieces(groups, warp_size) * warp_size);
  const dim3 block(static_cast<unsigned>(width), static_cast<unsigned>(threads / width));
  const int col_blocks = pieces(groups, width);
  const dim3 grid(static_cast<unsigned>(pieces(rows, block.y) * col_blocks));
  launch(name, whole ? map_kernel<true, F> : map_kernel<false, F>, grid, block, 0, stream, f, rows, cols, col_blocks);
}

/// f(x) and dy · f'(x); see kinds.hpp.
template <Activation F>
struct Function;
template <>
struct Function<Activation::Identity> {
  static __device__ float value(float x) { return x; }
  static __device__ float gradient(float, float dy) { return dy; }
};
template <>
struct Function<Activation::Relu> {
  static __device__ float value(float x) { return x < 0.0f ? 0.0f : x; }  // NaN stays
  static __device__ float gradient(float x, float dy) { return x > 0.0f ? dy : 0.0f; }
};
template <>
struct Function<Activation::Gelu> {
  static constexpr float sqrt_half = 0.70710678118654752440f, density = 0.39894228040143267794f;
  static __device__ float cdf(float x) { return 0.5f * erff(x * sqrt_half) + 0.5f; }
  static __device__ float value(float x) { return x * cdf(x); }
  static __device__ float gradient(float x, float dy) { return dy * (cdf(x) + x * density * expf(-0.5f * x * x)); }
};
/// x σ(2u) with u = √(2/π) (x + 0.044715 x³); beyond ±100 the gate is 0 or 1, and its slope 0.
template <>
struct Function<Activation::GeluTanh> {
  static constexpr float factor = 1.59576912160573071176f, cubic = 0.044715f;  // 2 √(2/π)
  static __device__ float gate(float x) { return 1.0f / (1.0f + expf(-x * (factor * (1.0f + cubic * x * x)))); }
  static __device__ float value(float x) { return x * gate(fminf(fmaxf(x, -100.0f), 100.0f)); }
  static __device__ float gradient(float x, float dy) {
    const float near = fminf(fmaxf(x, -100.0f), 100.0f), s = gate(near);
    return dy * (s + x * (s * (1.0f - s) * (factor * (1.0f + 3.0f * cubic * near * near))));
  }
};
template <>
struct Function<Activation::Silu> {
  static __device__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
  static __device__ float value(float x) { return x * sigmoid(x); }
  static __device__ float gradient(float x, float dy) {
    const float s = sigmoid(x);
    return dy * (s * (1.0f + x * (1.0f - s)));
  }
};
/// With e = exp(x) and m = e (e + 2), the gate tanh(log(1 + e)) is m / (m + 2), and 1 long before e overflows; its
/// slope is 4 e (1 + e) / (m + 2)².
template <>
struct Function<Activation::Mish> {
  static constexpr float linear_from = 30.0f;
  static __device__ float value(float x) {
    const float e = expf(fminf(x, linear_from)), m = e * (e + 2.0f);
    return x * (m / (m + 2.0f));
  }
  static __device__ float gradient(float x, float dy) {
    const float e = expf(fminf(x, linear_from)), m = e * (e + 2.0f), inverse = 1.0f / (m + 2.0f);
    return dy * (m * inverse + fminf(x, linear_from) * (4.0f * e * inverse) * ((1.0f + e) * inverse));
  }
};

/// Calls use(Function<f>{}) for an f that is known at run time.
template <class Use>
void with_function(Activation f, Use&& use) {
  switch (f) {
    case Activation::Identity:
      return use(Function<Activation::Identity>{});
    case Activation::Relu:
      return use(Function<Activation::Relu>{});
    case Activation::Gelu:
      return use(Function<Activation::Gelu>{});
    case Activation::GeluTanh:
      return use(Function<Activation::GeluTanh>{});
    case Activation::Silu:
      return use(Function<Activation::Silu>{});
    case Activation::Mish:
      return use(Function<Activation::Mish>{});
  }
}

template <class T, class F>
struct ActivationMap {
  RowsOf<T> x, y;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    auto values = load<Aligned>(x.row(row) + col, count);
    for (float& value : values.at) value = F::value(value);
    store<Aligned>(y.row(row) + col, count, values);
  }
};

template <class T, class F>
struct ActivationBackwardMap {
  RowsOf<T> x, dy, dx;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    const auto values = load<Aligned>(x.row(row) + col, count);
    auto gradients = load<Aligned>(dy.row(row) + col, count);
    for (int i = 0; i < group; ++i) gradients.at[i] = F::gradient(values.at[i], gradients.at[i]);
    store<Aligned>(dx.row(row) + col, count, gradients);
  }
};

template <class T>
void activation(Activation f, RowsOf<T> x, RowsOf<T> y, Stream stream) {
  assert(x.rows == y.rows && x.cols == y.cols);
  with_function(f, [&]<class F>(F) {
    map("activation", ActivationMap<T, F>{x, y}, x.rows, x.cols, aligned(x) && aligned(y), stream);
  });
}

template <class T>
void activation_backward(Activation f, RowsOf<T> x, RowsOf<T> dy, RowsOf<T> dx, Stream stream) {
  assert(x.rows == dy.rows && x.cols == dy.cols && dx.rows == dy.rows && dx.cols == dy.cols);
  const bool whole = aligned(x) && aligned(dy) && aligned(dx);
  with_function(f, [&]<class F>(F) {
    map("activation_backward", ActivationBackwardMap<T, F>{x, dy, dx}, x.rows, x.cols, whole, stream);
  });
}

/// y = x · factor, or y += x · factor.
template <class T, Into into>
struct ScaleMap {
  RowsOf<T> x, y;
  float factor;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    auto values = load<Aligned>(x.row(row) + col, count);
    Group<float> old{};
    if constexpr (into == Into::Add) old = load<Aligned>(y.row(row) + col, count);
    for (int i = 0; i < group; ++i) values.at[i] = values.at[i] * factor + old.at[i];
    store<Aligned>(y.row(row) + col, count, values);
  }
};

template <class T>
void add(RowsOf<T> x, RowsOf<T> y, Stream stream) {
  assert(x.rows == y.rows && x.cols == y.cols);
  map("add", ScaleMap<T, Into::Add>{x, y, 1.0f}, x.rows, x.cols, aligned(x) && aligned(y), stream);
}

template <class T>
void scale(RowsOf<T> x, double factor, Stream stream) {
  map("scale", ScaleMap<T, Into::Write>{x, x, static_cast<float>(factor)}, x.rows, x.cols, aligned(x), stream);
}

template <class T>
struct MultiplyMap {
  RowsOf<T> a, b, y;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    auto values = load<Aligned>(a.row(row) + col, count);
    const auto factors = load<Aligned>(b.row(row) + col, count);
    for (int i = 0; i < group; ++i) values.at[i] *= factors.at[i];
    store<Aligned>(y.row(row) + col, count, values);
  }
};

template <class T, bool Accumulate>
struct MultiplyBackwardMap {
  RowsOf<T> dy, a, b, da, db;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    const auto gradients = load<Aligned>(dy.row(row) + col, count);
    auto of_a = load<Aligned>(b.row(row) + col, count), of_b = load<Aligned>(a.row(row) + col, count);
    Group<float> old_a{}, old_b{};
    if constexpr (Accumulate) {
      old_a = load<Aligned>(da.row(row) + col, count);
      old_b = load<Aligned>(db.row(row) + col, count);
    }
    for (int i = 0; i < group; ++i) {
      of_a.at[i] = gradients.at[i] * of_a.at[i] + old_a.at[i];
      of_b.at[i] = gradients.at[i] * of_b.at[i] + old_b.at[i];
    }
    store<Aligned>(da.row(row) + col, count, of_a);
    store<Aligned>(db.row(row) + col, count, of_b);
  }
};

template <class T>
void multiply(RowsOf<T> a, RowsOf<T> b, RowsOf<T> y, Stream stream) {
  assert(a.rows == y.rows && a.cols == y.cols && b.rows == y.rows && b.cols == y.cols);
  map("multiply", MultiplyMap<T>{a, b, y}, y.rows, y.cols, aligned(a) && aligned(b) && aligned(y), stream);
}

template <class T>
void multiply_backward(RowsOf<T> dy, RowsOf<T> a, RowsOf<T> b, Into into, RowsOf<T> da, RowsOf<T> db, Stream stream) {
  assert(a.rows == dy.rows && a.cols == dy.cols && b.rows == dy.rows && b.cols == dy.cols);
  assert(da.rows == dy.rows && da.cols == dy.cols && db.rows == dy.rows && db.cols == dy.cols);
  const bool whole = aligned(dy) && aligned(a) && aligned(b) && aligned(da) && aligned(db);
  const auto run = [&]<bool Accumulate>() {
    map("multiply_backward", MultiplyBackwardMap<T, Accumulate>{dy, a, b, da, db}, dy.rows, dy.cols, whole, stream);
  };
  with_bools(run, into == Into::Add);
}

template <class T>
struct FillMap {
  RowsOf<T> x;
  float value;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    Group<float> values;
    for (float& one : values.at) one = value;
    store<Aligned>(x.row(row) + col, count, values);
  }
};

template <class T>
void fill(RowsOf<T> x, T value, Stream stream) {
  map("fill", FillMap<T>{x, static_cast<float>(value)}, x.rows, x.cols, aligned(x), stream);
}

/// y = x, converted to another type.
template <class T, class U>
struct ConvertMap {
  RowsOf<T> x;
  RowsOf<U> y;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    store<Aligned>(y.row(row) + col, count, load<Aligned>(x.row(row) + col, count));
  }
};

template <class T, class U>
void convert(RowsOf<T> x, RowsOf<U> y, Stream stream) {
  assert(x.rows == y.rows && x.cols == y.cols);
  map("convert", ConvertMap<T, U>{x, y}, x.rows, x.cols, aligned(x) && aligned(y), stream);
}

}  // namespace neural_attention::cuda_backend
