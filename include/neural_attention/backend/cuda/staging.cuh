// How small host arrays (token ids, offsets, views of caches) reach the device, and small results the host, without
// stopping the stream. Arrays are copied into pinned memory and from there in the order of the stream. The memory has
// two halves; the host reuses a half only after the copies out of it are done, which is normally long before.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "neural_attention/backend/cuda/cuda.hpp"
#include "neural_attention/backend/cuda/runtime.cuh"

namespace neural_attention::cuda_backend {

/// Owned pinned host memory: copies between it and the device can overlap with work.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  explicit PinnedMemory(std::size_t bytes) : data_(bytes > 0 ? allocate_host(bytes) : nullptr) {}
  std::byte* data() const { return static_cast<std::byte*>(data_.get()); }

 private:
  struct Free {
    void operator()(void* memory) const { free_host(memory); }
  };
  std::unique_ptr<void, Free> data_;
};

/// A T on its way from the device to the host: start() begins the copy, finish() waits for it. One copy at a time.
template <class T>
class Reading {
 public:
  void start(const T* value, Stream stream) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (!there_.data()) there_ = PinnedMemory(sizeof(T));
    copy(there_.data(), sizeof(T), value, sizeof(T), sizeof(T), 1, stream);
    arrived_.record(stream);
  }
  T finish() {
    arrived_.wait();
    T value;
    std::memcpy(&value, there_.data(), sizeof(T));
    return value;
  }

 private:
  PinnedMemory there_;
  Event arrived_;
};

class Staging {
 public:
  /// The values on the device. They stay there until half the staging memory's bytes have followed.
  template <class T>
  const T* on_device(std::span<const T> values, Stream stream) {
    static_assert(std::is_trivially_copyable_v<T> && alignment % alignof(T) == 0);
    const auto bytes = (values.size_bytes() + alignment - 1) / alignment * alignment;
    if (bytes > half_) grow(bytes, stream);
    if (used_ + bytes > half_) {
      left_[turn_].record(stream);
      turn_ = 1 - turn_;
      left_[turn_].wait();
      used_ = 0;
    }
    const auto at = static_cast<std::size_t>(turn_) * half_ + used_;
    used_ += bytes;
    std::byte *const from = host_.data() + at, *const to = static_cast<std::byte*>(device_.data()) + at;
    if (!values.empty()) std::memcpy(from, values.data(), values.size_bytes());
    copy(to, values.size_bytes(), from, values.size_bytes(), values.size_bytes(), 1, stream);
    return reinterpret_cast<const T*>(to);
  }

 private:
  void grow(std::size_t bytes, Stream stream) {
    wait(stream);
    const auto half = std::max(2 * bytes, smallest_half);
    // Allocates both or neither: memory may be short, and the caller may go on with less.
    CudaMemory device(2 * half);
    host_ = PinnedMemory(2 * half);
    device_ = std::move(device);
    half_ = half;
    used_ = 0;
  }

  static constexpr std::size_t smallest_half = std::size_t{1} << 22, alignment = 16;
  CudaMemory device_;
  PinnedMemory host_;
  std::size_t half_ = 0, used_ = 0;
  int turn_ = 0;
  Event left_[2];
};

}  // namespace neural_attention::cuda_backend
