// The arms of the demo on the GPU.
#include "demo/train_arm.hpp"

#include "neural_attention/cuda.hpp"

namespace examples {

using Gpu = na::Cuda<float>;
using GpuBf16 = na::Cuda<na::bfloat16>;

template TrainArm<Gpu> train_arm<Gpu, na::LinearProjections>;
template TrainArm<Gpu> train_arm<Gpu, na::paper::marian>;
template TrainArm<GpuBf16> train_arm<GpuBf16, na::LinearProjections>;
template TrainArm<GpuBf16> train_arm<GpuBf16, na::paper::marian>;

}  // namespace examples
