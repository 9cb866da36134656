// The stream of a device and its resources: memory that operations reuse, staging for small arrays, and products.
#pragma once

#include <cassert>
#include <span>
#include <vector>

#include "neural_attention/backend/cuda/attention_round.cuh"
#include "neural_attention/backend/cuda/copies.cuh"
#include "neural_attention/backend/cuda/cuda.hpp"
#include "neural_attention/backend/cuda/embedding.cuh"
#include "neural_attention/backend/cuda/products.cuh"
#include "neural_attention/backend/cuda/runtime.cuh"
#include "neural_attention/backend/cuda/staging.cuh"

namespace neural_attention {

// Code that sees only cuda.hpp uses these, so they must be in the library even if nothing here calls them.
[[gnu::used]] inline CudaMemory::CudaMemory(std::size_t bytes)
    : data_(bytes > 0 ? cuda_backend::allocate(bytes) : nullptr) {}
[[gnu::used]] inline void CudaMemory::Free::operator()(void* memory) const { cuda_backend::free(memory); }

template <class T>
struct CudaDevice {
  explicit CudaDevice(int number) : stream(cuda_backend::make_stream(number)) {}
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;
  ~CudaDevice() { cuda_backend::free_stream(stream); }

  /// Temporary memory of the current operation; grows and is kept.
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

}  // namespace neural_attention
