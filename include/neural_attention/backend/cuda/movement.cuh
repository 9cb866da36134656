// The part of cuda.cuh that moves numbers: between host and device, from place to place, from type to type.
#pragma once

#include <algorithm>
#include <cassert>
#include <span>

#include "neural_attention/backend/cuda/copies.cuh"
#include "neural_attention/backend/cuda/cuda.cuh"
#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/backend/cuda/embedding.cuh"

namespace neural_attention {

template <class T>
void Cuda<T>::copy(Matrix x, Matrix y) {
  device_->copy(x, y);
}
template <class T>
void Cuda<T>::copy(RealMatrix x, RealMatrix y) requires rounds {
  device_->copy(x, y);
}

template <class T>
void Cuda<T>::copy(std::span<const Matrix> x, std::span<const Matrix> y) {
  assert(x.size() == y.size());
  auto& copies = device_->copies;
  copies.clear();
  std::ptrdiff_t largest = 0;
  bool whole = true;
  for (std::size_t i = 0; i < x.size(); ++i) {
    assert(x[i].rows == y[i].rows && x[i].cols == y[i].cols);
    if (x[i].size() == 0) continue;
    copies.push_back({x[i], y[i]});
    largest = std::max(largest, x[i].size());
    whole = whole && cuda_backend::aligned(x[i]) && cuda_backend::aligned(y[i]);
  }
  if (copies.empty()) return;
  cuda_backend::copy_pairs(device_->on_device(copies), static_cast<int>(copies.size()), largest, whole,
                           device_->stream);
}

template <class T>
void Cuda<T>::fill(Matrix x, T value) {
  cuda_backend::fill(x, value, device_->stream);
}
template <class T>
void Cuda<T>::fill(RealMatrix x, Real value) requires rounds {
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
void Cuda<T>::scale(RealMatrix x, double factor) requires rounds {
  cuda_backend::scale(x, factor, device_->stream);
}

template <class T>
void Cuda<T>::upload(std::span<const T> values, Matrix x) {
  device_->upload(values, x);
}
template <class T>
void Cuda<T>::upload(std::span<const Real> values, RealMatrix x) requires rounds {
  device_->upload(values, x);
}

template <class T>
void Cuda<T>::download(Matrix x, std::span<T> values) {
  device_->download(x, values);
}
template <class T>
void Cuda<T>::download(RealMatrix x, std::span<Real> values) requires rounds {
  device_->download(x, values);
}

template <class T>
void Cuda<T>::convert(RealMatrix x, Matrix y) {
  cuda_backend::convert(x, y, device_->stream);
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

}  // namespace neural_attention
