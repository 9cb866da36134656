// The part of cuda.cuh that moves numbers: between host and device, from place to place, from type to type.
#pragma once

#include <algorithm>
#include <cassert>
#include <span>

#include "neural_attention/backend/cuda/copies.cuh"
#include "neural_attention/backend/cuda/cuda_device.cuh"
#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/backend/cuda/embedding.cuh"

namespace neural_attention {

template <class T, class N>
void compute(CudaDevice<T>& device, const ops::CopyOf<N>& op) {
  device.copy(op.x, op.y);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::CopyPairsOf<T>& op) {
  assert(op.x.size() == op.y.size());
  auto& copies = device.copies;
  copies.clear();
  std::ptrdiff_t largest = 0;
  bool whole = true;
  for (std::size_t i = 0; i < op.x.size(); ++i) {
    assert(op.x[i].rows == op.y[i].rows && op.x[i].cols == op.y[i].cols);
    if (op.x[i].size() == 0) continue;
    copies.push_back({op.x[i], op.y[i]});
    largest = std::max(largest, op.x[i].size());
    whole = whole && cuda_backend::aligned(op.x[i]) && cuda_backend::aligned(op.y[i]);
  }
  if (copies.empty()) return;
  cuda_backend::copy_pairs(device.on_device(copies), static_cast<int>(copies.size()), largest, whole, device.stream);
}

template <class T, class N>
void compute(CudaDevice<T>& device, const ops::FillOf<N>& op) {
  cuda_backend::fill(op.x, op.value, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::AddOf<T>& op) {
  cuda_backend::add(op.x, op.y, device.stream);
}

template <class T, class N>
void compute(CudaDevice<T>& device, const ops::ScaleOf<N>& op) {
  cuda_backend::scale(op.x, op.factor, device.stream);
}

template <class T, class N>
void compute(CudaDevice<T>& device, const ops::UploadOf<N>& op) {
  device.upload(op.values, op.x);
}

template <class T, class N>
void compute(CudaDevice<T>& device, const ops::DownloadOf<N>& op) {
  device.download(op.x, op.values);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::ConvertOf<T>& op) {
  cuda_backend::convert(op.x, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::GatherOf<T>& op) {
  assert(std::ssize(op.rows) == op.y.rows);
  cuda_backend::gather(op.x, device.on_device(op.rows), 1.0, Into::Write, op.y, device.stream);
}

template <class T>
void compute(CudaDevice<T>& device, const ops::ScatterAddOf<T>& op) {
  assert(std::ssize(op.rows) == op.x.rows);
  cuda_backend::scatter_add(op.x, device.on_device(op.rows), op.y, device.stream);
}

}  // namespace neural_attention
