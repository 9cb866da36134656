// Memory of the tests' matrices: the host's or, with NEURAL_ATTENTION_TESTS_ON_DEVICE, such as host and device see.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#if defined(NEURAL_ATTENTION_TESTS_ON_DEVICE)
#include <cuda_runtime_api.h>
#endif

namespace cpu_support {

#if defined(NEURAL_ATTENTION_TESTS_ON_DEVICE)

/// Whether an operation may have begun since the last wait: tests read elements many million times, and to ask the
/// device each time whether there is anything to wait for would take most of a test.
inline bool device_may_work = false;
inline void expect_work() { device_may_work = true; }

/// Until all operations are done.
inline void wait_for_device() {
  if (device_may_work) cudaDeviceSynchronize();
  device_may_work = false;
}

template <class T>
struct TestMemory {
  using value_type = T;
  TestMemory() = default;
  template <class U>
  TestMemory(const TestMemory<U>&) {}

  T* allocate(std::size_t count) {
    void* memory = nullptr;
    if (cudaMallocManaged(&memory, count * sizeof(T), cudaMemAttachGlobal) != cudaSuccess) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) { cudaFree(memory); }
  /// Called before a vector is copied, into which an operation may still be writing.
  TestMemory select_on_container_copy_construction() const {
    wait_for_device();
    return {};
  }
  friend bool operator==(TestMemory, TestMemory) { return true; }
};

#else

template <class T>
using TestMemory = std::allocator<T>;
inline void expect_work() {}
inline void wait_for_device() {}

#endif

}  // namespace cpu_support
