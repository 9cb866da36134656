// The backend of our side of the comparison: the only place that knows how --dtype becomes one.
#pragma once

#include <string>

#include "neural_attention/backend/cpu/cpu.hpp"

namespace peers {

using Backend = neural_attention::Cpu<float>;

inline Backend make_backend(int threads, const std::string& dtype) {
  using neural_attention::Precision;
  return Backend(threads, dtype == "bfloat16" ? Precision::BFloat16 : Precision::Float32);
}

}  // namespace peers
