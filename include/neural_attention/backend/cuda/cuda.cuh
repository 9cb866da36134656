// The definitions of backend/cuda/cuda.hpp: which kernel an operation starts, and with what workspace.
#pragma once

#include <algorithm>
#include <cassert>
#include <span>
#include <type_traits>
#include <vector>

#include "neural_attention/backend/cuda/attention.cuh"
#include "neural_attention/backend/cuda/attention_mma.cuh"
#include "neural_attention/backend/cuda/attention_mma_backward.cuh"
#include "neural_attention/backend/cuda/attention_step.cuh"
#include "neural_attention/backend/cuda/copies.cuh"
#include "neural_attention/backend/cuda/cuda.hpp"
#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/backend/cuda/embedding.cuh"
#include "neural_attention/backend/cuda/loss.cuh"
#include "neural_attention/backend/cuda/normalization.cuh"
#include "neural_attention/backend/cuda/optimizer.cuh"
#include "neural_attention/backend/cuda/products.cuh"
#include "neural_attention/backend/cuda/runtime.cuh"
#include "neural_attention/backend/cuda/staging.cuh"
#include "neural_attention/backend/cuda/sums.cuh"

namespace neural_attention {

// Used by what only sees cuda.hpp, so they must be in the library though nothing here may call them.
[[gnu::used]] inline CudaMemory::CudaMemory(std::size_t bytes)
    : data_(bytes > 0 ? cuda_backend::allocate(bytes) : nullptr) {}
[[gnu::used]] inline void CudaMemory::Free::operator()(void* memory) const { cuda_backend::free(memory); }

template <class T>
struct Cuda<T>::Device {
  explicit Device(int number) : stream(cuda_backend::make_stream(number)) {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() { cuda_backend::free_stream(stream); }

  /// Temporary memory of the operation at work; grows and is kept.
  template <class U>
  U* reserve(std::size_t count) {
    if (count * sizeof(U) > bytes) {
      cuda_backend::wait(stream);  // work that uses the old one
      memory = CudaMemory(count * sizeof(U));
      bytes = count * sizeof(U);
    }
    return static_cast<U*>(memory.data());
  }
  /// A small host array on the device: see Staging.
  template <class Values>
  auto on_device(const Values& values) {
    return staging.on_device(std::span<const typename Values::value_type>(values), stream);
  }
  /// A small result on the host, until the next one: waits for it.
  template <class U>
  std::span<const U> on_host(const U* values, std::size_t count) {
    const auto size = count * sizeof(U);
    if (size > result_bytes) {
      results = cuda_backend::PinnedMemory(size);
      result_bytes = size;
    }
    cuda_backend::copy(results.data(), size, values, size, size, 1, stream);
    cuda_backend::wait(stream);
    return {reinterpret_cast<const U*>(results.data()), count};
  }

  template <class U>
  void copy_rows(RowsOf<U> x, RowsOf<U> y) {
    const auto bytes_of_row = static_cast<std::size_t>(x.cols) * sizeof(U);
    cuda_backend::copy(y.data, y.stride * sizeof(U), x.data, x.stride * sizeof(U), bytes_of_row,
                       static_cast<std::size_t>(x.rows), stream);
  }
  template <class U>
  void copy(RowsOf<U> x, RowsOf<U> y) {
    assert(x.rows == y.rows && x.cols == y.cols);
    if (x.size() == 0 || x.data == y.data) return;
    const bool overlap = x.data < y.data + y.size() && y.data < x.data + x.size() && x.contiguous() && y.contiguous();
    if (!overlap) return copy_rows(x, y);
    const RowsOf<U> between(reserve<U>(static_cast<std::size_t>(x.size())), x.rows, x.cols);
    copy_rows(x, between);
    copy_rows(between, y);
  }
  template <class U>
  void upload(std::span<const U> values, RowsOf<U> x) {
    assert(std::ssize(values) == x.size());
    copy_rows(RowsOf<U>(const_cast<U*>(values.data()), x.rows, x.cols), x);
    cuda_backend::wait(stream);  // the caller's memory may go
  }
  template <class U>
  void download(RowsOf<U> x, std::span<U> values) {
    assert(std::ssize(values) == x.size());
    copy_rows(x, RowsOf<U>(values.data(), x.rows, x.cols));
    cuda_backend::wait(stream);
  }

  cuda_backend::Stream stream;
  cuda_backend::Staging staging;
  cuda_backend::Reading<StepOutcome> reading;
  cuda_backend::Products products;
  CudaMemory memory;
  std::size_t bytes = 0;
  cuda_backend::PinnedMemory results;
  std::size_t result_bytes = 0;
  cuda_backend::IdGroups groups;
  std::vector<int> tiles;
  std::vector<cuda_backend::CachedRows<T>> cached;
  std::vector<cuda_backend::CopyPair<T>> copies;
};

template <class T>
Cuda<T>::Cuda(int device) : device_(std::make_unique<Device>(device)) {}
template <class T>
Cuda<T>::~Cuda() = default;

template <class T>
std::string Cuda<T>::engine() const {
  return cuda_backend::device_name() + ", cuBLASLt";
}

/// ReLU is part of the product. GELU is not: cuBLASLt's is the approximation with tanh, this library's the exact one.
template <class T>
void Cuda<T>::linear(Matrix x, Matrix w, Matrix bias, Activation f, Matrix y) {
  using Product = cuda_backend::Product<T>;
  const bool relu = f == Activation::Relu;
  device_->products.run(Product{.a = x, .b = w, .b_transposed = true, .c = y, .bias = bias, .relu = relu},
                        device_->stream);
  if (!relu && f != Activation::Identity) activation(f, y, y);
}

template <class T>
void Cuda<T>::linear_input_gradient(Matrix dy, Matrix w, bool accumulate, Matrix dx) {
  device_->products.run(cuda_backend::Product<T>{.a = dy, .b = w, .c = dx, .accumulate = accumulate}, device_->stream);
}

template <class T>
void Cuda<T>::linear_weight_gradient(Matrix dy, Matrix x, RealMatrix dw) {
  using Product = cuda_backend::Product<T, Real>;
  device_->products.run(Product{.a = dy, .a_transposed = true, .b = x, .c = dw, .accumulate = true}, device_->stream);
}

template <class T>
void Cuda<T>::bias_gradient(Matrix dy, RealMatrix db) {
  const auto partials = static_cast<std::size_t>(cuda_backend::bias_gradient_partials(dy.rows));
  float* const sums = device_->template reserve<float>(partials * dy.cols);
  cuda_backend::bias_gradient(dy, db, sums, device_->stream);
}

template <class T>
void Cuda<T>::layer_norm(Matrix x, Matrix gain, Matrix bias, double epsilon, bool relu, Matrix y, RealMatrix stats) {
  cuda_backend::norm(x, gain, bias, epsilon, relu, y, stats, device_->stream);
}

template <class T>
void Cuda<T>::layer_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, RealMatrix stats, bool relu,
                                  bool accumulate, Matrix dx, RealMatrix dgain, RealMatrix dbias) {
  float* const sums = device_->template reserve<float>(std::size_t{2} * cuda_backend::norm_partials(x.rows) * x.cols);
  cuda_backend::norm_backward(dy, x, y, gain, stats, true, relu, accumulate, dx, dgain, dbias, sums, device_->stream);
}

template <class T>
void Cuda<T>::rms_norm(Matrix x, Matrix gain, double epsilon, bool relu, Matrix y, RealMatrix stats) {
  cuda_backend::norm(x, gain, {}, epsilon, relu, y, stats, device_->stream);
}

template <class T>
void Cuda<T>::rms_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, RealMatrix stats, bool relu,
                                bool accumulate, Matrix dx, RealMatrix dgain) {
  float* const sums = device_->template reserve<float>(std::size_t{1} * cuda_backend::norm_partials(x.rows) * x.cols);
  cuda_backend::norm_backward(dy, x, y, gain, stats, false, relu, accumulate, dx, dgain, {}, sums, device_->stream);
}

template <class T>
void Cuda<T>::activation(Activation f, Matrix x, Matrix y) {
  cuda_backend::activation(f, x, y, device_->stream);
}

template <class T>
void Cuda<T>::activation_backward(Activation f, Matrix x, Matrix dy, Matrix dx) {
  cuda_backend::activation_backward(f, x, dy, dx, device_->stream);
}

template <class T>
void Cuda<T>::dropout(Matrix x, const DropoutMask& mask, Matrix y) {
  if (!mask) return copy(x, y);
  cuda_backend::dropout(x, mask, y, device_->stream);
}

template <class T>
void Cuda<T>::residual_dropout(Matrix residual, Matrix x, const DropoutMask& mask, Matrix y) {
  cuda_backend::residual_dropout(residual, x, mask, y, device_->stream);
}

template <class T>
void Cuda<T>::embedding(std::span<const int> ids, Matrix table, double factor, bool accumulate, Matrix y) {
  assert(std::ssize(ids) == y.rows);
  cuda_backend::gather(table, device_->on_device(ids), factor, accumulate, y, device_->stream);
}

template <class T>
void Cuda<T>::embedding_backward(Matrix dy, std::span<const int> ids, double factor, int padding, RealMatrix dtable) {
  assert(std::ssize(ids) == dy.rows);
  auto& groups = device_->groups;
  groups.assign(ids, dtable.rows, padding);
  cuda_backend::embedding_backward(dy, groups.count(), device_->on_device(groups.packed()), factor, dtable,
                                   device_->stream);
}

template <class T>
void Cuda<T>::attention(Matrix q, Matrix k, Matrix v, const Ragged& queries, const Ragged& keys,
                        const AttentionShape& shape, const DropoutMask& mask, Matrix out, RealMatrix log_sum_exp) {
  assert(q.rows == queries.total() && k.rows == keys.total() && v.rows == k.rows && out.rows == q.rows);
  assert(queries.sequences() == keys.sequences() && q.cols % shape.heads == 0 && q.cols == k.cols);
  auto& tiles = device_->tiles;
  tiles.clear();
  if constexpr (std::is_same_v<T, bfloat16>)
    if (cuda_backend::suits_mma(q.cols / shape.heads, q, k, v, out)) {
      const int count = cuda_backend::add_attention_tiles(queries, keys, false, cuda_backend::mma_queries, tiles);
      return cuda_backend::attention_mma(device_->on_device(tiles), count, q, k, v, shape, mask, out, log_sum_exp,
                                         device_->stream);
    }
  const int count = cuda_backend::add_attention_tiles(queries, keys, false, cuda_backend::attention_tile, tiles);
  cuda_backend::attention(device_->on_device(tiles), count, q, k, v, shape, mask, out, log_sum_exp, device_->stream);
}

template <class T>
void Cuda<T>::attention_backward(Matrix dout, Matrix q, Matrix k, Matrix v, Matrix out, RealMatrix log_sum_exp,
                                 const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                                 const DropoutMask& mask, Matrix dq, Matrix dk, Matrix dv) {
  auto& tiles = device_->tiles;
  tiles.clear();
  bool tensor_cores = false;
  if constexpr (std::is_same_v<T, bfloat16>)
    tensor_cores = q.cols / shape.heads <= cuda_backend::widest_mma_backward &&
                   cuda_backend::suits_mma(q.cols / shape.heads, dout, q, k, v, dq, dk, dv);
  const int rows = tensor_cores ? cuda_backend::mma_queries : cuda_backend::attention_tile;
  const int of_queries = cuda_backend::add_attention_tiles(queries, keys, false, rows, tiles);
  const int of_keys = cuda_backend::add_attention_tiles(queries, keys, true, rows, tiles);
  const int* const query_tiles = device_->on_device(tiles);
  const int* const key_tiles = query_tiles + of_queries * cuda_backend::AttentionTile::ints;
  float* const dots = device_->template reserve<float>(static_cast<std::size_t>(q.rows) * shape.heads);
  if constexpr (std::is_same_v<T, bfloat16>)
    if (tensor_cores)
      return cuda_backend::attention_mma_backward(query_tiles, of_queries, key_tiles, of_keys, dout, q, k, v, out,
                                                  log_sum_exp, shape, mask, dq, dk, dv, dots, device_->stream);
  cuda_backend::attention_backward(query_tiles, of_queries, key_tiles, of_keys, dout, q, k, v, out, log_sum_exp, shape,
                                   mask, dq, dk, dv, dots, device_->stream);
}

template <class T>
void Cuda<T>::cross_entropy(Matrix logits, Matrix bias, std::span<const int> targets, double smoothing,
                            double gradient_scale, RealMatrix losses) {
  assert(std::ssize(targets) == logits.rows);
  cuda_backend::cross_entropy(logits, bias, device_->on_device(targets), smoothing, gradient_scale, losses,
                              device_->stream);
}

template <class T>
void Cuda<T>::sum_losses(RealMatrix losses, bool accumulate, StepOutcome* outcome) {
  cuda_backend::sum_losses(losses, accumulate, outcome, device_->stream);
}

template <class T>
double Cuda<T>::squared_norm(RealMatrix x) {
  if (x.size() == 0) return 0.0;
  double* const sums =
      device_->template reserve<double>(static_cast<std::size_t>(cuda_backend::squared_norm_partials(x.size())) + 1);
  cuda_backend::squared_norm(x, sums + 1, sums, device_->stream);
  return device_->on_host(sums, 1)[0];
}

template <class T>
void Cuda<T>::clipping(RealMatrix gradient, double limit, StepOutcome* outcome) {
  const auto partials = static_cast<std::size_t>(cuda_backend::squared_norm_partials(gradient.size()));
  double* const sums = device_->template reserve<double>(partials);
  cuda_backend::clipping(gradient, limit, sums, outcome, device_->stream);
}

template <class T>
void Cuda<T>::adam(const AdamStep& how, RealMatrix gradient, RealMatrix value, RealMatrix first_moment,
                   RealMatrix second_moment, const StepOutcome* outcome) {
  cuda_backend::adam(how, gradient, value, first_moment, second_moment, outcome, device_->stream);
}

template <class T>
void Cuda<T>::sgd(const SgdStep& how, RealMatrix gradient, RealMatrix value, RealMatrix velocity,
                  const StepOutcome* outcome) {
  cuda_backend::sgd(how, gradient, value, velocity, outcome, device_->stream);
}

template <class T>
void Cuda<T>::start_reading(const StepOutcome* outcome) {
  device_->reading.start(outcome, device_->stream);
}

template <class T>
StepOutcome Cuda<T>::finish_reading() {
  return device_->reading.finish();
}

}  // namespace neural_attention

#include "neural_attention/backend/cuda/decoding.cuh"
#include "neural_attention/backend/cuda/movement.cuh"
