// The backends that operations are tested on: the CPU in float and double, and CUDA's kernels, run on the CPU.
#pragma once

#include <tuple>

#include "backend/cpu_support.hpp"
#include "neural_attention/backend/cuda/cuda.cuh"

namespace cpu_support {

using Backends = std::tuple<neural_attention::Cpu<float>, neural_attention::Cpu<double>, neural_attention::Cuda<float>>;

}  // namespace cpu_support
