// The part of cuda.cuh that decoding needs. What is chosen comes to the host, the logits do not.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>

#include "neural_attention/backend/cuda/attention_step.cuh"
#include "neural_attention/backend/cuda/choosing.cuh"
#include "neural_attention/backend/cuda/cuda.cuh"
#include "neural_attention/backend/cuda/sampling.cuh"

namespace neural_attention {

template <class T>
void Cuda<T>::attention_step(Matrix q, std::span<const Matrix> keys, std::span<const Matrix> values,
                             std::span<const int> lengths, const AttentionShape& shape, Matrix out) {
  assert(std::ssize(keys) == q.rows && std::ssize(values) == q.rows && std::ssize(lengths) == q.rows);
  auto& cached = device_->cached;
  cached.clear();
  bool whole = true;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    assert(lengths[i] <= keys[i].rows && lengths[i] <= values[i].rows);
    cached.push_back({keys[i], values[i], lengths[i]});
    whole = whole && cuda_backend::aligned(keys[i]) && cuda_backend::aligned(values[i]);
  }
  cuda_backend::attention_step(q, device_->on_device(cached), whole, shape, out, device_->stream);
}

template <class T>
void Cuda<T>::attention_probabilities(Matrix q, Matrix k, const AttentionShape& shape, Matrix out) {
  cuda_backend::attention_probabilities(q, k, shape, out, device_->stream);
}

template <class T>
void Cuda<T>::assign(Matrix x, std::span<const int> rows, std::span<const int> cols, T value) {
  assert(rows.size() == cols.size());
  if (rows.empty()) return;
  const int* const rows_there = device_->on_device(rows);
  const int* const cols_there = device_->on_device(cols);
  cuda_backend::assign(x, rows_there, cols_there, static_cast<int>(rows.size()), value, device_->stream);
}

template <class T>
void Cuda<T>::log_sum_exp(Matrix x, std::span<double> sums) {
  assert(std::ssize(sums) == x.rows);
  double* const there = device_->template reserve<double>(sums.size());
  cuda_backend::log_sum_exp(x, there, device_->stream);
  std::ranges::copy(device_->on_host(there, sums.size()), sums.begin());
}

template <class T>
void Cuda<T>::top_k(Matrix x, int k, std::span<T> values, std::span<int> columns) {
  assert(values.size() == columns.size() && std::ssize(values) == std::ptrdiff_t{x.rows} * k);
  using cuda_backend::Chosen;
  static_assert(sizeof(Chosen) == sizeof(std::uint64_t));
  const auto candidates = static_cast<std::size_t>(x.rows) * cuda_backend::top_k_candidates(k);
  auto* const workspace = device_->template reserve<std::uint64_t>(candidates + values.size());
  auto* const chosen = reinterpret_cast<Chosen*>(workspace + candidates);
  cuda_backend::top_k(x, k, workspace, chosen, device_->stream);
  const auto here = device_->on_host(chosen, values.size());
  for (std::size_t i = 0; i < here.size(); ++i) {
    values[i] = static_cast<T>(here[i].value);
    columns[i] = here[i].column;
  }
}

template <class T>
void Cuda<T>::sample(Matrix x, const SamplingShape& how, std::span<const double> uniforms, std::span<int> columns) {
  assert(std::ssize(uniforms) == x.rows && std::ssize(columns) == x.rows);
  int* const there = device_->template reserve<int>(columns.size());
  cuda_backend::sample(x, how, device_->on_device(uniforms), there, device_->stream);
  std::ranges::copy(device_->on_host(there, columns.size()), columns.begin());
}

}  // namespace neural_attention
