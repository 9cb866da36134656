// Instantiates the CUDA backend once, for programs that link neural_attention::cuda.
#include "neural_attention/backend/cuda/cuda.cuh"

template class neural_attention::Cuda<float>;
template class neural_attention::Cuda<neural_attention::bfloat16>;
template struct neural_attention::ops::Instances<neural_attention::Cuda<float>>;
template struct neural_attention::ops::Instances<neural_attention::Cuda<neural_attention::bfloat16>>;
