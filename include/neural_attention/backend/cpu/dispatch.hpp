// The members of Cpu<T> that compute, in the compiled form: each operation goes through the table of the instruction
// set that the process has chosen when it made its first backend.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>

#include "neural_attention/backend/cpu/instruction_sets.hpp"
#include "neural_attention/backend/cpu/kernels.hpp"
#include "neural_attention/core/observer.hpp"

namespace neural_attention {
namespace cpu_targets {

/// The linear maps of a set that has nothing but its kernel of int8 products.
template <class Set>
void linear(CpuEngine<float>& cpu, const ops::LinearOf<float>& op) {
  if (op.quantized)
    CompiledInt8Kernel<Set>::one.linear(cpu, op.x, *op.quantized, op.bias, op.activation, op.y);
  else
    std::get<Kernels<float>::Function<ops::LinearOf<float>>>(
        CompiledKernels<float, typename Set::Rest>::all.operations)(cpu, op);
}

template <class T, class Set>
std::string engine(Precision precision, bool int8_weights) {
  const auto rest = CompiledKernels<T, typename Set::Rest>::all.engine(precision, false);
  return int8_weights ? rest + cpu_gemm::int8_name(CompiledInt8Kernel<Set>::one.name) : rest;
}

/// The kernels of a set, its own and those that it takes from another.
template <class T, class Set>
Kernels<T> kernels_of() {
  if constexpr (requires { typename Set::Rest; }) {
    auto kernels = CompiledKernels<T, typename Set::Rest>::all;
    kernels.engine = &engine<T, Set>;
    if constexpr (std::is_same_v<T, float>)
      std::get<typename Kernels<T>::template Function<ops::LinearOf<T>>>(kernels.operations) = &linear<Set>;
    return kernels;
  } else {
    return CompiledKernels<T, Set>::all;
  }
}

template <class... Sets>
struct Program {
  static constexpr std::size_t count = sizeof...(Sets);

  /// Throws ConfigError, and then again at every call.
  static std::size_t chosen() {
    static const std::size_t one = choose(std::array{InstructionSet{Sets::name, Sets::supported()}...});
    return one;
  }
  static const char* name() { return std::array{Sets::name...}[chosen()]; }
  template <class T>
  static const Kernels<T>& kernels() {
    static const Kernels<T> one = std::array{&kernels_of<T, Sets>...}[chosen()]();
    return one;
  }
};

#if defined(NEURAL_ATTENTION_CPU_TARGETS)
using ThisProgram = Program<baseline, NEURAL_ATTENTION_CPU_TARGETS>;
#else
using ThisProgram = Program<baseline>;
#endif

}  // namespace cpu_targets

template <class T>
void Cpu<T>::check_instructions() {
  cpu_targets::ThisProgram::chosen();
}

template <class T>
std::string Cpu<T>::engine(Precision precision, bool int8_weights) {
  using cpu_targets::ThisProgram;
  const auto of_products = ThisProgram::kernels<T>().engine(precision, int8_weights);
  return ThisProgram::count > 1 ? std::string(ThisProgram::name()) + ": " + of_products : of_products;
}

template <class T>
double Cpu<T>::peak_gflops() {
  return cpu_targets::ThisProgram::kernels<T>().peak_gflops(engine_);
}

template <class T>
template <class Op>
ops::ResultOf<Op> Cpu<T>::run(const Op& op) {
  const auto kernel =
      std::get<ops::ResultOf<Op> (*)(CpuEngine<T>&, const Op&)>(cpu_targets::ThisProgram::kernels<T>().operations);
  return observed(
      op, [&] { return kernel(engine_, op); }, [] {});
}

}  // namespace neural_attention
