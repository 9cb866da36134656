// Compiles the CPU kernels once more, for the instruction set NEURAL_ATTENTION_CPU_TARGET, which the compiler's options
// for this unit allow. isolate_target.sh then keeps its functions apart from those of the rest of the program.
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/backend/cpu/instruction_sets.hpp"
#include "neural_attention/backend/cpu/kernels.hpp"

namespace neural_attention::cpu_targets {

template <>
constinit const Kernels<float> CompiledKernels<float, NEURAL_ATTENTION_CPU_TARGET>::all{};
template <>
constinit const Kernels<double> CompiledKernels<double, NEURAL_ATTENTION_CPU_TARGET>::all{};

}  // namespace neural_attention::cpu_targets
