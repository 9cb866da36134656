// The members of Cpu<T> that compute, header-only: they call the operations, compiled with the flags of the file that
// includes them. dispatch.hpp has the members of the compiled form.
#pragma once

#include <string>

#include "neural_attention/backend/cpu/engine_name.hpp"
#include "neural_attention/backend/cpu/operations.hpp"
#include "neural_attention/core/observer.hpp"

namespace neural_attention {

template <class T>
void Cpu<T>::check_instructions() {}

template <class T>
std::string Cpu<T>::engine(Precision precision, bool int8_weights) {
  return cpu_gemm::engine_name(precision, int8_weights);
}

template <class T>
double Cpu<T>::peak_gflops() {
  return cpu_peak::gflops(engine_);
}

template <class T>
template <class Op>
ops::ResultOf<Op> Cpu<T>::run(const Op& op) {
  return observed(
      op, [&] { return compute(engine_, op); }, [] {});
}

}  // namespace neural_attention
