// What the backend needs from a device besides running kernels: memory, copies and waiting. For tests on the CPU, where
// device memory is host memory, the same calls act at once and count the waits.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "neural_attention/backend/cuda/device.cuh"

namespace neural_attention::cuda_backend {

#if defined(__CUDACC__)

/// Throws DeviceError, which names the call, if it failed.
inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // otherwise the next kernel would report this error
  throw DeviceError(std::string(call) + " failed: " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) +
                    ")");
}

/// How many devices this process sees. Throws DeviceError if there is none.
inline int device_count() {
  int count = 0;
  if (const auto status = cudaGetDeviceCount(&count); status != cudaSuccess || count == 0)
    throw DeviceError(std::string("no CUDA device can be used: ") +
                      (status == cudaSuccess ? "there is none" : cudaGetErrorString(status)) +
                      " (it takes a GPU, and a driver for CUDA " + std::to_string(CUDART_VERSION / 1000) +
                      " or newer)");
  return count;
}
/// Names of the devices that this process sees, in the order of their numbers: no two devices of all machines have the
/// same.
inline std::vector<std::string> device_ids() {
  std::vector<std::string> ids;
  for (int device = 0, count = device_count(); device < count; ++device) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    ids.emplace_back(properties.uuid.bytes, sizeof properties.uuid.bytes);
  }
  return ids;
}
/// Makes the device the current one of this thread.
inline Stream make_stream(int device) {
  const int count = device_count();
  if (device < 0 || device >= count)
    throw DeviceError("there is no CUDA device " + std::to_string(device) + "; devices are numbered 0 to " +
                      std::to_string(count - 1));
  check(cudaSetDevice(device), "cudaSetDevice");
  Stream stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return stream;
}
/// The name of the current device.
inline std::string device_name() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  return properties.name;
}
inline void free_stream(Stream stream) { cudaStreamDestroy(stream); }
inline void wait(Stream stream) { check(cudaStreamSynchronize(stream), "cudaStreamSynchronize"); }

inline void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaMalloc(&memory, bytes) == cudaSuccess) return memory;
  cudaGetLastError();  // an allocation that failed leaves the device usable
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  constexpr std::size_t mib = std::size_t{1} << 20;
  throw OutOfMemory("the GPU has no " + std::to_string(bytes / mib) + " MiB left: " + std::to_string(free / mib) +
                    " of its " + std::to_string(total / mib) + " MiB are free");
}
inline void free(void* memory) { cudaFree(memory); }
/// Pinned host memory: copies from and to it can overlap with work.
inline void* allocate_host(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaMallocHost(&memory, bytes), "cudaMallocHost");
  return memory;
}
inline void free_host(void* memory) { cudaFreeHost(memory); }

/// Copies `rows` runs of `bytes`, `stride` bytes apart on either side, in the order of the stream. The addresses
/// determine the direction.
inline void copy(void* to, std::size_t to_stride, const void* from, std::size_t from_stride, std::size_t bytes,
                 std::size_t rows, Stream stream) {
  if (rows == 0 || bytes == 0) return;
  // A row may be longer than the largest pitch of a copy in two dimensions, and rows without gaps are faster as one.
  if (rows == 1 || (to_stride == bytes && from_stride == bytes))
    check(cudaMemcpyAsync(to, from, rows * bytes, cudaMemcpyDefault, stream), "cudaMemcpy");
  else
    check(cudaMemcpy2DAsync(to, to_stride, from, from_stride, bytes, rows, cudaMemcpyDefault, stream), "cudaMemcpy");
}

/// A place in a stream that the host or another stream can wait for.
class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreate"); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cudaEventDestroy(event_); }
  void record(Stream stream) { check(cudaEventRecord(event_, stream), "cudaEventRecord"); }
  void wait() { check(cudaEventSynchronize(event_), "cudaEventSynchronize"); }
  /// What `stream` is given from now on begins after this place.
  void wait_in(Stream stream) { check(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent"); }
  /// Whether the device has reached this place.
  bool reached() const {
    const auto status = cudaEventQuery(event_);
    if (status != cudaErrorNotReady) {
      check(status, "cudaEventQuery");
      return true;
    }
    cudaGetLastError();  // otherwise the next kernel would report it
    return false;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

#else

inline std::vector<std::string> device_ids() { return {"0", "1", "2", "3"}; }
/// Devices differ in the order of their threads: 1 goes forward, 2 in reverse, the others at random.
inline Stream make_stream(int device) {
  return {device == 1 ? emulation::Order::Forward : device == 2 ? emulation::Order::Reverse : emulation::Order::Random};
}
inline std::string device_name() { return "emulated"; }
inline void free_stream(Stream) {}
inline void wait(Stream) { ++emulation::waits; }
inline void* allocate(std::size_t bytes) {
  ++emulation::waits;
  return ::operator new (bytes, std::align_val_t{256});
}
inline void free(void* memory) {
  ++emulation::waits;
  ::operator delete (memory, std::align_val_t{256});
}
inline void* allocate_host(std::size_t bytes) { return allocate(bytes); }
inline void free_host(void* memory) { free(memory); }
inline void copy(void* to, std::size_t to_stride, const void* from, std::size_t from_stride, std::size_t bytes,
                 std::size_t rows, Stream) {
  if (bytes == 0) return;
  if (rows > 1 && (to_stride < bytes || from_stride < bytes)) throw emulation::Error("rows of a copy that overlap");
  for (std::size_t r = 0; r < rows; ++r)
    std::memcpy(static_cast<char*>(to) + r * to_stride, static_cast<const char*>(from) + r * from_stride, bytes);
}
class Event {
 public:
  void record(Stream) {}
  void wait() { ++emulation::waits; }
  void wait_in(Stream) {}
  bool reached() const { return true; }
};

#endif

}  // namespace neural_attention::cuda_backend
