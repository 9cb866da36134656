// The operations of Cpu<T> as a table of functions: what a unit that is compiled for one instruction set hands to the
// rest of the program.
#pragma once

#include <string>
#include <tuple>

#include "neural_attention/backend/cpu/engine_name.hpp"
#include "neural_attention/backend/cpu/int8_linear.hpp"
#include "neural_attention/backend/cpu/operations.hpp"

namespace neural_attention::cpu_targets {

template <class T, class List = ops::AllOperationsOf<T>>
struct Kernels;
template <class T, class... All>
struct Kernels<T, ops::OperationList<All...>> {
  template <class Op>
  using Function = ops::ResultOf<Op> (*)(CpuEngine<T>&, const Op&);

  template <class Op>
  static ops::ResultOf<Op> run(CpuEngine<T>& cpu, const Op& op) {
    return compute(cpu, op);
  }

  std::tuple<Function<All>...> operations{&run<All>...};
  std::string (*engine)(Precision, bool) = &cpu_gemm::engine_name;
  double (*peak_gflops)(CpuEngine<T>&) = &cpu_peak::gflops<T>;
};

/// The kernels that one unit has compiled for a set of instruction_sets.hpp. A constant: units for a set that the
/// processor may lack must not run at the program's start.
template <class T, class Set>
struct CompiledKernels {
  static const Kernels<T> all;
};

/// The kernel of int8 products alone, for a set that takes all else from another.
struct Int8Kernel {
  const char* name = cpu_int8::Kernel::name;
  void (*linear)(CpuEngine<float>&, RowsOf<float> x, const QuantizedRows& w, RowsOf<float> bias, Activation,
                 RowsOf<float> y) = &cpu_int8::linear<cpu_int8::Kernel>;
};
template <class Set>
struct CompiledInt8Kernel {
  static const Int8Kernel one;
};

}  // namespace neural_attention::cpu_targets
