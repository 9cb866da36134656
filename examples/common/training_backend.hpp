// The backend of a training run, which programs print first with the rate of its products.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <span>
#include <string>
#include <type_traits>

#include "neural_attention/core/arena.hpp"
#include "neural_attention/core/kinds.hpp"

namespace examples {

namespace na = neural_attention;

/// Whether B computes with threads of the CPU.
template <class B>
inline constexpr bool has_threads = requires(const B& backend) {
  backend.threads();
};

/// 10⁹ operations per second in a product of square matrices: the median of five runs after a warm-up.
template <class B>
double product_gflops(B& backend) {
  constexpr int n = has_threads<B> ? 512 : 4096, runs = 5;
  na::Arena<B> arena(backend);
  const auto a = arena.rows(n, n), b = arena.rows(n, n), c = arena.rows(n, n);
  using Scalar = typename B::Scalar;
  backend(na::ops::Fill<B>{.x = a, .value = Scalar(1.0f)});
  backend(na::ops::Fill<B>{.x = b, .value = Scalar(1.0f)});
  Scalar waited_for(0.0f);
  double seconds[runs + 1];
  for (auto& run : seconds) {
    const auto start = std::chrono::steady_clock::now();
    backend(na::ops::Linear<B>{.x = a, .w = b, .y = c});
    backend(na::ops::Download<B>{.x = c.slice(0, 1).columns(0, 1), .values = std::span(&waited_for, 1)});
    run = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  std::sort(seconds + 1, seconds + runs + 1);
  return 2.0 * n * n * n / seconds[1 + runs / 2] / 1e9;
}

/// "2 threads, float32, 163 GFLOP/s (packed kernel, AVX SSE, …)"
template <class B>
std::string describe(B& backend) {
  std::string text, numbers = "float32";
  if constexpr (has_threads<B>) {
    text = std::to_string(backend.threads()) + (backend.threads() == 1 ? " thread, " : " threads, ");
    if (backend.precision() == na::Precision::BFloat16) numbers = "bfloat16 products";
  } else if constexpr (!std::is_same_v<typename B::Scalar, typename B::Real>) {
    numbers = "bfloat16";
  }
  char rate[32];
  std::snprintf(rate, sizeof rate, ", %.0f GFLOP/s", product_gflops(backend));
  return text + numbers + rate + " (" + backend.engine() + ")";
}

}  // namespace examples
