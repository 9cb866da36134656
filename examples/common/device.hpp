// --device and --dtype: on what a command computes, and in which numbers. Each command is a template of the backend;
// programs that are built with CUDA have it for both, and the others say how to build them.
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

inline CLI::Option* add_dtype_flag(CLI::App& app, std::string& dtype) {
  return app
      .add_option("--dtype", dtype,
                  "bfloat16: on the CPU operands of products are rounded to it; on a GPU activations and what products "
                  "read are stored so; sums, parameters and their gradients stay float")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
}

/// Whether B computes with threads of the CPU.
template <class B>
inline constexpr bool has_threads = requires(const B& backend) {
  backend.threads();
};

/// B as --threads and --dtype say. On the GPU --dtype is part of the type; see on_device.
template <class B>
B make_backend(int threads, const std::string& dtype) {
  if constexpr (has_threads<B>)
    return B(threads, dtype == "bfloat16" ? na::Precision::BFloat16 : na::Precision::Float32);
  else
    return B();
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

/// The same with the numbers that `dtype` names.
template <class Run>
int on_device_in(const std::string& dtype, const std::string& device, const std::string& less_memory, Run&& run) {
  return dtype == "bfloat16" ? on_device<na::bfloat16>(device, less_memory, run) : on_device(device, less_memory, run);
}

}  // namespace examples
