// Instantiates the CPU kernels once, for programs that link neural_attention::compiled.
#include "neural_attention/backend/cpu/cpu.hpp"

#include "neural_attention/backend/cpu/instantiate.hpp"

template class neural_attention::Cpu<float>;
template class neural_attention::Cpu<double>;
template struct neural_attention::ops::Instances<neural_attention::Cpu<float>>;
template struct neural_attention::ops::Instances<neural_attention::Cpu<double>>;
