// What computes the large products, for display.
#pragma once

#include <string>

#include "neural_attention/backend/cpu/gemm.hpp"
#include "neural_attention/backend/cpu/int8_kernels.hpp"
#include "neural_attention/core/kinds.hpp"

namespace neural_attention::cpu_gemm {

/// How operands are multiplied that a product of `precision` has besides floats. Throws as forced_numbers().
inline std::string operands_name(Precision precision) {
  if (precision == Precision::Float32) return {};
  const auto numbers = bfloat16_numbers();
  return numbers == Numbers::Tiles   ? ", bfloat16 by AMX"
         : numbers == Numbers::Pairs ? ", bfloat16 by AVX512-BF16 instructions"
                                     : ", bfloat16 multiplied as float";
}

/// What is said of the kernel of int8 products.
inline std::string int8_name(const char* kernel) { return std::string(", int8 by ") + kernel; }

/// The engine of products of `precision` and, with `int8_weights`, of a model that holds such.
inline std::string engine_name(Precision precision, bool int8_weights) {
  const auto of_operands =
      operands_name(precision) + (int8_weights ? int8_name(cpu_int8::Kernel::name) : std::string());
#if defined(NEURAL_ATTENTION_ONEDNN)
  const auto& version = *dnnl_version();
  return "oneDNN " + std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
         std::to_string(version.patch) + of_operands;
#else
  return std::string("packed kernel, ") + Eigen::SimdInstructionSetsInUse() + of_operands;
#endif
}

}  // namespace neural_attention::cpu_gemm
