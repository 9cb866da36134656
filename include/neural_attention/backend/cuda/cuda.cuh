// The definitions of backend/cuda/cuda.hpp: which kernel an operation starts, and with what workspace.
#pragma once

#include <cassert>
#include <span>
#include <vector>

#include "neural_attention/backend/cuda/attention.cuh"
#include "neural_attention/backend/cuda/cuda.hpp"
#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/backend/cuda/embedding.cuh"
#include "neural_attention/backend/cuda/loss.cuh"
#include "neural_attention/backend/cuda/normalization.cuh"
#include "neural_attention/backend/cuda/optimizer.cuh"
#include "neural_attention/backend/cuda/runtime.cuh"
#include "neural_attention/backend/cuda/staging.cuh"
#include "neural_attention/backend/cuda/sums.cuh"

namespace neural_attention {

inline CudaMemory::CudaMemory(std::size_t bytes) : data_(bytes > 0 ? cuda_backend::allocate(bytes) : nullptr) {}
inline void CudaMemory::Free::operator()(void* memory) const { cuda_backend::free(memory); }

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
  const int* on_device(std::span<const int> values) { return staging.on_device(values, stream); }

  /// Copies rows; x and y may overlap where both are contiguous.
  template <class U>
  void copy_rows(RowsOf<U> x, RowsOf<U> y) {
    const auto bytes_of_row = static_cast<std::size_t>(x.cols) * sizeof(U);
    cuda_backend::copy(y.data, y.stride * sizeof(U), x.data, x.stride * sizeof(U), bytes_of_row,
                       static_cast<std::size_t>(x.rows), stream);
  }

  cuda_backend::Stream stream;
  cuda_backend::Staging staging;
  CudaMemory memory;
  std::size_t bytes = 0;
  cuda_backend::IdGroups groups;
  std::vector<int> tiles;
};

template <class T>
Cuda<T>::Cuda(int device) : device_(std::make_unique<Device>(device)) {}
template <class T>
Cuda<T>::~Cuda() = default;

template <class T>
void Cuda<T>::copy(Matrix x, Matrix y) {
  assert(x.rows == y.rows && x.cols == y.cols);
  if (x.size() == 0 || x.data == y.data) return;
  const bool overlap = x.data < y.data + y.size() && y.data < x.data + x.size() && x.contiguous() && y.contiguous();
  if (!overlap) return device_->copy_rows(x, y);
  const Matrix between(device_->template reserve<T>(static_cast<std::size_t>(x.size())), x.rows, x.cols);
  device_->copy_rows(x, between);
  device_->copy_rows(between, y);
}

template <class T>
void Cuda<T>::fill(Matrix x, T value) {
  cuda_backend::fill(x, value, device_->stream);
}

template <class T>
void Cuda<T>::add(Matrix x, Matrix y) {
  cuda_backend::add(x, y, device_->stream);
}

template <class T>
void Cuda<T>::scale(Matrix x, double factor) {
  cuda_backend::scale(x, factor, device_->stream);
}

template <class T>
void Cuda<T>::upload(std::span<const T> values, Matrix x) {
  assert(std::ssize(values) == x.size());
  device_->copy_rows(Matrix(const_cast<T*>(values.data()), x.rows, x.cols), x);
  cuda_backend::wait(device_->stream);  // the caller's memory may go
}

template <class T>
void Cuda<T>::download(Matrix x, std::span<T> values) {
  assert(std::ssize(values) == x.size());
  device_->copy_rows(x, Matrix(values.data(), x.rows, x.cols));
  cuda_backend::wait(device_->stream);
}

template <class T>
void Cuda<T>::gather(Matrix x, std::span<const int> rows, Matrix y) {
  assert(std::ssize(rows) == y.rows);
  cuda_backend::gather(x, device_->on_device(rows), 1.0, false, y, device_->stream);
}

template <class T>
void Cuda<T>::scatter_add(Matrix x, std::span<const int> rows, Matrix y) {
  assert(std::ssize(rows) == x.rows);
  cuda_backend::scatter_add(x, device_->on_device(rows), y, device_->stream);
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
  const int count = cuda_backend::add_attention_tiles(queries, keys, false, tiles);
  cuda_backend::attention(device_->on_device(tiles), count, q, k, v, shape, mask, out, log_sum_exp, device_->stream);
}

template <class T>
void Cuda<T>::attention_backward(Matrix dout, Matrix q, Matrix k, Matrix v, Matrix out, RealMatrix log_sum_exp,
                                 const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                                 const DropoutMask& mask, Matrix dq, Matrix dk, Matrix dv) {
  auto& tiles = device_->tiles;
  tiles.clear();
  const int of_queries = cuda_backend::add_attention_tiles(queries, keys, false, tiles);
  const int of_keys = cuda_backend::add_attention_tiles(queries, keys, true, tiles);
  const int* const query_tiles = device_->on_device(tiles);
  const int* const key_tiles = query_tiles + of_queries * cuda_backend::AttentionTile::ints;
  float* const dots = device_->template reserve<float>(static_cast<std::size_t>(q.rows) * shape.heads);
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
void Cuda<T>::column_sums(Matrix x, std::span<double> sums) {
  assert(std::ssize(sums) == x.cols);
  double* const on_device = device_->template reserve<double>(sums.size());
  cuda_backend::column_sums(x, on_device, device_->stream);
  device_->copy_rows(RowsOf<double>(on_device, 1, x.cols), RowsOf<double>(sums.data(), 1, x.cols));
  cuda_backend::wait(device_->stream);
}

template <class T>
double Cuda<T>::squared_norm(RealMatrix x) {
  if (x.size() == 0) return 0.0;
  double* const sums =
      device_->template reserve<double>(static_cast<std::size_t>(cuda_backend::squared_norm_partials(x.size())) + 1);
  cuda_backend::squared_norm(x, sums + 1, sums, device_->stream);
  double total = 0.0;
  device_->copy_rows(RowsOf<double>(sums, 1, 1), RowsOf<double>(&total, 1, 1));
  cuda_backend::wait(device_->stream);
  return total;
}

template <class T>
void Cuda<T>::adam(const AdamStep& how, RealMatrix gradient, RealMatrix value, RealMatrix first_moment,
                   RealMatrix second_moment) {
  cuda_backend::adam(how, gradient, value, first_moment, second_moment, device_->stream);
}

template <class T>
void Cuda<T>::sgd(const SgdStep& how, RealMatrix gradient, RealMatrix value, RealMatrix velocity) {
  cuda_backend::sgd(how, gradient, value, velocity, device_->stream);
}

}  // namespace neural_attention
