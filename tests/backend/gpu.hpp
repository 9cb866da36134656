// The CUDA backend as tests have it: Cuda<T>, whose kernels run on the CPU (cuda/emulated_gpu.cpp), or, with
// NEURAL_ATTENTION_TESTS_ON_DEVICE (see tests/run_on_gpu.sh), on a device.
#pragma once

#include "neural_attention/cuda.hpp"

namespace cpu_support {

#if defined(NEURAL_ATTENTION_TESTS_ON_DEVICE)
/// The number that tests give a backend, of threads or of an emulated device, means nothing to a real one.
template <class T>
struct GpuOf : neural_attention::Cuda<T> {
  explicit GpuOf(int = 0) {}
};
#else
template <class T>
using GpuOf = neural_attention::Cuda<T>;
#endif
using Gpu = GpuOf<float>;

}  // namespace cpu_support
