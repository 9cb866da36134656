// --device, --dtype, --threads and --profile: the device, number type, threads and profile of a command. Each command
// is a template of the backend. Programs built with CUDA have both instances; the others tell the user how to build
// them.
#pragma once

#include <string>
#include <vector>

#include "common/flags.hpp"
#include "common/launched_ranks.hpp"
#include "common/profiled_run.hpp"
#include "common/ranges.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/parameter.hpp"
#include "neural_attention/core/worker_pool.hpp"
#include "neural_attention/cuda.hpp"

namespace examples {

#if defined(EXAMPLES_CUDA)
inline constexpr bool built_with_cuda = true;
#else
inline constexpr bool built_with_cuda = false;
#endif

/// The values of --dtype for all commands, and one more for those that do not train.
inline const std::vector<std::string> training_dtypes = {"float32", "bfloat16"};
inline const std::vector<std::string> inference_dtypes = {"float32", "bfloat16", "int8"};

/// The command that has the flags.
struct ComputeFor {
  const char* group = nullptr;  ///< of the flags in --help
  bool infers = false;          ///< it does not train, so it may use int8
  bool shares_work = false;     ///< among the processes that a launcher started
};

struct Compute : Flags {
  explicit Compute(const ComputeFor& command = {})
      : Flags(command.group),
        shares_work(command.shares_work),
        dtype(
            flag("dtype", "float32",
                 std::string("bfloat16: a CPU rounds the operands of products to it; a GPU stores activations and the "
                             "operands of products in it; sums, parameters and their gradients stay float32") +
                     (command.infers ? ". int8: a CPU rounds the matrices of products and embeddings, and the rows "
                                       "that they multiply, to integers of eight bits"
                                     : ""),
                 {.among = command.infers ? inference_dtypes : training_dtypes, .kept = true})) {}

  const bool shares_work;
  const std::string& device = flag("device", "cpu", "cpu, or cuda: an NVIDIA GPU", {.among = {"cpu", "cuda"}});
  const std::string& dtype;
  const int& threads =
      flag("threads", 0, "CPU threads; 0: OMP_NUM_THREADS or, if that is not set, as many as this process may use",
           {.range = from_to(0, most_threads)});
  const std::string& profile = flag("profile", "",
                                    "Measure every operation, print the 20 most expensive ones, and write all of them "
                                    "to this file for Perfetto or chrome://tracing");

  bool bfloat16() const { return dtype == "bfloat16"; }
  /// Of a model that does not train.
  na::Purpose purpose() const { return dtype == "int8" ? na::Purpose::Int8Inference : na::Purpose::Inference; }
  na::Precision precision() const { return bfloat16() ? na::Precision::BFloat16 : na::Precision::Float32; }
};

/// Of a command that does not train.
struct InferenceCompute : Compute {
  InferenceCompute() : Compute({.infers = true}) {}
};

/// Of a command whose work several processes share.
struct SharedCompute : Compute {
  explicit SharedCompute(const ComputeFor& command = {.infers = true})
      : Compute({.group = command.group, .infers = command.infers, .shares_work = true}) {}

  const double& rank_timeout = flag(
      "rank_timeout", 600.0,
      "Under mpirun: the run ends if a rank waits this many seconds for others in a step, or ten times as many where "
      "another may take long, as to write a checkpoint or to translate",
      {.range = above(0)});
};

/// A backend with the values of --threads and --dtype. On the GPU, --dtype is part of the type; see on_device.
template <class B>
B make_backend(const Compute& compute) {
  return na::worker_backend<B>(compute.threads, compute.precision());
}

/// Calls run.operator()<B>() with the backend B of --device and --dtype. `less_memory` names the flags that help if
/// memory runs out. Throws ConfigError for a GPU if this program was built without CUDA, and if a launcher started
/// several processes that cannot share the work.
template <class Run>
int on_device(const Compute& compute, const std::string& less_memory, Run&& run) {
  const auto run_on = [&]<class B>() {
    return profiled(
        compute.profile, [&] { return run.template operator()<B>(); }, [&] { return make_backend<B>(compute); });
  };
  require_shared_work(compute.shares_work);
  try {
    if (compute.device == "cpu") return run_on.template operator()<na::Cpu<float>>();
    if (compute.dtype == "int8")
      throw na::ConfigError("--dtype int8 computes on a CPU: give --device cpu or another --dtype");
    if constexpr (built_with_cuda) {
      try {
        return compute.bfloat16() ? run_on.template operator()<na::Cuda<na::bfloat16>>()
                                  : run_on.template operator()<na::Cuda<float>>();
      } catch (const na::OutOfMemory&) {
        throw;
      } catch (const na::DeviceError& error) {
        throw na::DeviceError(error.what() + std::string("; --device cpu needs no GPU"));
      }
    }
  } catch (const na::OutOfMemory& error) {
    throw na::OutOfMemory(error.what() + ("; " + less_memory));
  }
  throw na::ConfigError(
      "this program was built without CUDA, so it has only --device cpu; cmake --workflow --preset cuda builds it "
      "with CUDA (that needs nvcc)");
}

}  // namespace examples
