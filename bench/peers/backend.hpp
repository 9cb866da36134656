// The backend of our side of the comparison: the only place that knows how --dtype becomes one.
#pragma once

#include <string>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/errors.hpp"

namespace peers {

using Backend = neural_attention::Cpu<float>;

inline Backend make_backend(int threads, const std::string& dtype) {
  if (dtype != "float32") throw neural_attention::ConfigError("the CPU backend does not compute in " + dtype);
  return Backend(threads);
}

}  // namespace peers
