// Compiles the kernel of int8 products once more, for the instruction set NEURAL_ATTENTION_CPU_TARGET, which takes all
// other kernels from a set that target.cpp is compiled for. isolate_target.sh keeps its functions apart, too.
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/backend/cpu/instruction_sets.hpp"
#include "neural_attention/backend/cpu/kernels.hpp"

namespace neural_attention::cpu_targets {

template <>
constinit const Int8Kernel CompiledInt8Kernel<NEURAL_ATTENTION_CPU_TARGET>::one{};

}  // namespace neural_attention::cpu_targets
