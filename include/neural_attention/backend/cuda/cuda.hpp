// The CUDA backend: it runs the operations of core/operations/ on one GPU, in one stream. This header is plain C++; the
// definitions are in cuda.cuh, which nvcc compiles.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>

#include "neural_attention/core/bfloat16.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/operations.hpp"
#include "neural_attention/core/rows.hpp"

namespace neural_attention {

/// Owned device memory, 256-byte aligned.
class CudaMemory {
 public:
  CudaMemory() = default;
  /// Throws OutOfMemory, which says how much is free.
  explicit CudaMemory(std::size_t bytes);
  void* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  std::unique_ptr<void, Free> data_;
};

/// The stream of a device and what belongs to it (cuda_device.cuh).
template <class T>
struct CudaDevice;

/// The device of a Cuda that names none, such as a Translator's. Where several processes of a host have a GPU each, it
/// is set before the first Cuda is made.
inline int default_cuda_device = 0;

/// T is float or bfloat16. The operations of one Cuda run one after another on the device. A call may return before its
/// operation is done; it waits only if the result goes to the host. Operations of different Cudas do not wait for each
/// other.
template <class T>
class Cuda {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, bfloat16>, "Cuda<T> computes in float or bfloat16");

 public:
  using Scalar = T;        ///< activations, and the weights that products read
  using Real = RealOf<T>;  ///< parameters and their gradients, statistics, losses, optimizer state
  using Memory = CudaMemory;
  using Matrix = RowsOf<T>;

  /// Throws DeviceError if there is no such device. Each thread has a current CUDA device: the device of the last Cuda
  /// that it made, otherwise 0. Make all Cudas of one thread for one device, and use a Cuda whose device is not 0 in
  /// the thread that made it.
  explicit Cuda(int device = default_cuda_device);
  ~Cuda();

  /// For display: the device's name and "cuBLASLt".
  std::string engine() const;

  // As in Cpu<T>.
  Memory allocate(std::size_t bytes) { return Memory(bytes); }
  void keep_weights(bool) {}
  void start_reading(const StepOutcome* outcome);
  StepOutcome finish_reading();

  /// For code that gives the stream further work.
  CudaDevice<T>& device() { return *device_; }

  /// Runs an operation; core/operations/ describes what each computes.
  template <ops::OperationOf<T> Op>
  ops::ResultOf<Op> operator()(const Op& op) {
    return run(op);
  }

 private:
  template <class, class>
  friend struct ops::Instances;
  template <class Op>
  ops::ResultOf<Op> run(const Op& op);

  std::unique_ptr<CudaDevice<T>> device_;
};

}  // namespace neural_attention
