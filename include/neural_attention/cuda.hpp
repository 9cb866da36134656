// Adds the CUDA backend to neural_attention.hpp, for programs that link neural_attention::cuda, which holds the
// kernels. Plain C++: compiling it needs no CUDA header and no nvcc.
#pragma once

#include "neural_attention/backend/cuda/cuda.hpp"

extern template class neural_attention::Cuda<float>;
extern template class neural_attention::Cuda<neural_attention::bfloat16>;
