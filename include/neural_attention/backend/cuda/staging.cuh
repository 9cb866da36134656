// How small host arrays (token ids, offsets) reach the device without stopping the stream: they are copied into pinned
// memory and from there in the order of the stream. The memory has two halves; the host comes back to a half only when
// the copies out of it are done, which they have long been.
#pragma once

#include <algorithm>
#include <cassert>
#include <span>

#include "neural_attention/backend/cuda/cuda.hpp"
#include "neural_attention/backend/cuda/runtime.cuh"

namespace neural_attention::cuda_backend {

class Staging {
 public:
  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() { release(); }

  /// The values on the device, until as many as half of what is staged have followed.
  const int* on_device(std::span<const int> values, Stream stream) {
    if (values.size() > half_) grow(values.size(), stream);
    if (used_ + values.size() > half_) {
      left_[turn_].record(stream);
      turn_ = 1 - turn_;
      left_[turn_].wait();
      used_ = 0;
    }
    const auto at = static_cast<std::size_t>(turn_) * half_ + used_;
    used_ += values.size();
    std::copy(values.begin(), values.end(), host_ + at);
    int* const to = static_cast<int*>(device_.data()) + at;
    const auto bytes = values.size() * sizeof(int);
    copy(to, bytes, host_ + at, bytes, bytes, 1, stream);
    return to;
  }

 private:
  void grow(std::size_t count, Stream stream) {
    wait(stream);
    release();
    half_ = std::max(2 * count, smallest_half);
    device_ = CudaMemory(2 * half_ * sizeof(int));
    host_ = static_cast<int*>(allocate_host(2 * half_ * sizeof(int)));
    used_ = 0;
  }
  void release() {
    if (host_) free_host(host_);
    host_ = nullptr;
  }

  static constexpr std::size_t smallest_half = std::size_t{1} << 20;
  CudaMemory device_;
  int* host_ = nullptr;
  std::size_t half_ = 0, used_ = 0;
  int turn_ = 0;
  Event left_[2];
};

}  // namespace neural_attention::cuda_backend
