// --device: on what a command computes. Each command is a template of the backend; programs that are built with CUDA
// have it for both, and the others say how to build them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/cuda.hpp"

namespace examples {

namespace na = neural_attention;

#if defined(EXAMPLES_CUDA)
inline constexpr bool built_with_cuda = true;
#else
inline constexpr bool built_with_cuda = false;
#endif

inline CLI::Option* add_device_flag(CLI::App& app, std::string& device) {
  return app.add_option("--device", device, "cpu, or cuda: a GPU of NVIDIA's")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
}

/// run.operator()<B>() with the backend B that `device` names, where the GPU's is Cuda<T>. `less_memory` says which
/// flags help where the GPU has too little. Throws ConfigError where this program was built without CUDA.
template <class T = float, class Run>
int on_device(const std::string& device, const std::string& less_memory, Run&& run) {
  if (device == "cpu") return run.template operator()<na::Cpu<float>>();
  if constexpr (built_with_cuda) {
    try {
      return run.template operator()<na::Cuda<T>>();
    } catch (const na::OutOfMemory& error) {
      throw na::OutOfMemory(error.what() + ("; " + less_memory));
    } catch (const na::DeviceError& error) {
      throw na::DeviceError(error.what() + std::string("; --device cpu needs no GPU"));
    }
  } else {
    throw na::ConfigError(
        "this program was built without CUDA, so it has only --device cpu; cmake --workflow --preset cuda builds it "
        "with CUDA (that needs nvcc)");
  }
}

}  // namespace examples
