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
  friend bool operator==(TestMemory, TestMemory) { return true; }
};

/// Until all operations are done.
inline void wait_for_device() { cudaDeviceSynchronize(); }

#else

template <class T>
using TestMemory = std::allocator<T>;
inline void wait_for_device() {}

#endif

}  // namespace cpu_support
