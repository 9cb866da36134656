// The backend of a training run as its flags say, and the rate that its products reach, which programs print first.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "common/any_model.hpp"
#include "common/training_options.hpp"
#include "neural_attention/core/arena.hpp"

namespace examples {

inline Backend training_backend(const TrainingOptions& flags) {
  return Backend(flags.threads, flags.dtype == "bfloat16" ? na::Precision::BFloat16 : na::Precision::Float32);
}

/// 10⁹ operations a second in a product of square matrices: the median of five, after one that warms up.
inline double product_gflops(Backend& backend) {
  constexpr int n = 512, runs = 5;
  na::Arena<Backend> arena(backend);
  const auto a = arena.rows(n, n), b = arena.rows(n, n), c = arena.rows(n, n);
  backend.fill(a, 1.0f);
  backend.fill(b, 1.0f);
  double seconds[runs + 1];
  for (auto& run : seconds) {
    const auto start = std::chrono::steady_clock::now();
    backend.linear(a, b, {}, na::Activation::Identity, c);
    run = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  std::sort(seconds + 1, seconds + runs + 1);
  return 2.0 * n * n * n / seconds[1 + runs / 2] / 1e9;
}

/// "2 threads, float32, 163 GFLOP/s (packed kernel, AVX SSE, …)"
inline std::string describe(Backend& backend) {
  char rate[32];
  std::snprintf(rate, sizeof rate, "%.0f GFLOP/s", product_gflops(backend));
  return std::to_string(backend.threads()) + (backend.threads() == 1 ? " thread, " : " threads, ") +
         (backend.precision() == na::Precision::BFloat16 ? "bfloat16 products, " : "float32, ") + rate + " (" +
         Backend::engine() + ")";
}

}  // namespace examples
