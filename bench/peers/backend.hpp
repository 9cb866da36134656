// The backend of our side of the comparison: the only place that knows how --device and --dtype become one, and which
// peak its products are compared with.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cuda/measuring.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/bfloat16.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/cuda.hpp"

namespace peers {

namespace na = neural_attention;

#if defined(PEERS_CUDA)
inline constexpr bool built_with_cuda = true;
#else
inline constexpr bool built_with_cuda = false;
#endif

struct BackendOptions {
  std::string device = "cpu", dtype = "float32";
  int threads = 2;
};

/// run(backend, peaks), where peaks() measures now what the device can do, in 10⁹ operations a second: the
/// multiply-adds of the CPU's threads, or a large product of matrices on the GPU.
template <class Run>
void on_backend(const BackendOptions& options, Run&& run) {
  const bool bfloat16 = options.dtype == "bfloat16";
  const auto on_gpu = [&]<class T>(T) {
    na::Cuda<T> backend;
    bench::device::Stopwatch watch(backend, {});
    run(backend, [&] { return nlohmann::json{{"fma_gflops", 1e3 * watch.product_tflops()}}; });
  };
  if (options.device == "cpu") {
    na::Cpu<float> backend(options.threads, bfloat16 ? na::Precision::BFloat16 : na::Precision::Float32);
    run(backend, [&] { return nlohmann::json{{"fma_gflops", backend.peak_gflops()}}; });
  } else if constexpr (!built_with_cuda) {
    throw na::ConfigError("this program was built without CUDA, so it has only --device cpu");
  } else if (bfloat16) {
    on_gpu(na::bfloat16());
  } else {
    on_gpu(float());
  }
}

}  // namespace peers
