// Instantiates Cpu once, for programs that link neural_attention::compiled, and compiles its kernels with the program's
// own flags. If there are kernels for further instruction sets to choose from (cpu/target.cpp),
// NEURAL_ATTENTION_CPU_TARGETS names them.
#include "neural_attention/backend/cpu/cpu.hpp"

#include "neural_attention/backend/cpu/dispatch.hpp"

namespace neural_attention {

template <>
constinit const cpu_targets::Kernels<float> cpu_targets::CompiledKernels<float, cpu_targets::baseline>::all{};
template <>
constinit const cpu_targets::Kernels<double> cpu_targets::CompiledKernels<double, cpu_targets::baseline>::all{};

template class Cpu<float>;
template class Cpu<double>;
template struct ops::Instances<Cpu<float>>;
template struct ops::Instances<Cpu<double>>;

}  // namespace neural_attention
