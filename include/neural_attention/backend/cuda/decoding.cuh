// The part of cuda.cuh that decoding needs. The chosen tokens come to the host; the logits do not.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>

#include "neural_attention/backend/cuda/attention_round.cuh"
#include "neural_attention/backend/cuda/choosing.cuh"
#include "neural_attention/backend/cuda/cuda_device.cuh"
#include "neural_attention/backend/cuda/sampling.cuh"

namespace neural_attention {

template <class T>
void compute(CudaDevice<T>& device, const ops::AttentionRoundOf<T>& op) {
  assert(std::ssize(op.keys) == op.q.rows && std::ssize(op.values) == op.q.rows && std::ssize(op.lengths) == op.q.rows);
  auto& cached = device.cached;
  cached.clear();
  bool whole = true;
  for (std::size_t i = 0; i < op.keys.size(); ++i) {
    assert(op.lengths[i] > 0 && op.lengths[i] <= op.keys[i].rows && op.lengths[i] <= op.values[i].rows);
    cached.push_back({op.keys[i], op.values[i], op.lengths[i]});
    whole = whole && cuda_backend::aligned(op.keys[i]) && cuda_backend::aligned(op.values[i]);
  }
  cuda_backend::attention_round(op.q, device.on_device(cached), whole, op.shape, op.out, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::AttentionProbabilitiesOf<T>& op) {
  cuda_backend::attention_probabilities(op.q, op.k, op.shape, op.out, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::AssignOf<T>& op) {
  assert(op.rows.size() == op.cols.size());
  if (op.rows.empty()) return;
  const int* const rows_there = device.on_device(op.rows);
  const int* const cols_there = device.on_device(op.cols);
  cuda_backend::assign(op.x, rows_there, cols_there, static_cast<int>(op.rows.size()), op.value, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::LogSumExpOf<T>& op) {
  assert(std::ssize(op.sums) == op.x.rows);
  double* const there = device.template reserve<double>(op.sums.size());
  cuda_backend::log_sum_exp(op.x, there, device.stream);
  std::ranges::copy(device.on_host(there, op.sums.size()), op.sums.begin());
}

template <class T>
void compute(CudaDevice<T>& device, const ops::TopKOf<T>& op) {
  assert(op.values.size() == op.columns.size() && std::ssize(op.values) == std::ptrdiff_t{op.x.rows} * op.k);
  using cuda_backend::Chosen;
  static_assert(sizeof(Chosen) == sizeof(std::uint64_t));
  const auto candidates = static_cast<std::size_t>(op.x.rows) * cuda_backend::top_k_candidates(op.k);
  auto* const workspace = device.template reserve<std::uint64_t>(candidates + op.values.size());
  auto* const chosen = reinterpret_cast<Chosen*>(workspace + candidates);
  cuda_backend::top_k(op.x, op.k, workspace, chosen, device.stream);
  const auto here = device.on_host(chosen, op.values.size());
  for (std::size_t i = 0; i < here.size(); ++i) {
    op.values[i] = static_cast<T>(here[i].value);
    op.columns[i] = here[i].column;
  }
}

template <class T>
void compute(CudaDevice<T>& device, const ops::SampleOf<T>& op) {
  assert(std::ssize(op.uniforms) == op.x.rows && std::ssize(op.columns) == op.x.rows);
  int* const there = device.template reserve<int>(op.columns.size());
  cuda_backend::sample(op.x, op.how, device.on_device(op.uniforms), there, device.stream);
  std::ranges::copy(device.on_host(there, op.columns.size()), op.columns.begin());
}

}  // namespace neural_attention
