// Instantiates the CUDA backend once for all tests, with kernels that run on the CPU: cmake/stubs/cuda.cu for g++.
#include "cuda/mma_emulation.hpp"
#include "neural_attention/backend/cuda/cuda.cuh"

template class neural_attention::Cuda<float>;
template class neural_attention::Cuda<neural_attention::bfloat16>;
template struct neural_attention::ops::Instances<neural_attention::Cuda<float>>;
template struct neural_attention::ops::Instances<neural_attention::Cuda<neural_attention::bfloat16>>;
