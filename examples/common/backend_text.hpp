// What computes, which commands say first: the threads, the numbers and the engine, and for training the rate of
// products.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <span>
#include <string>
#include <type_traits>

#include "common/standard_streams.hpp"
#include "neural_attention/core/arena.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/worker_pool.hpp"

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

/// The engine of products of `precision` and, if `int8`, of a model that holds such weights.
template <class B>
std::string engine_of(const B& backend, [[maybe_unused]] na::Precision precision, [[maybe_unused]] bool int8 = false) {
  if constexpr (has_threads<B>)
    return B::engine(precision, int8);
  else
    return backend.engine();
}

/// How a command computes on a CPU; a GPU's type says it.
struct Computing {
  int threads;
  na::Precision precision = na::Precision::Float32;
  bool int8 = false;  ///< the weights
};

/// "2 threads, float32 (packed kernel, AVX SSE, …)", with `rate` behind the numbers.
template <class B>
std::string describe(const B& backend, const Computing& how, const std::string& rate = {}) {
  std::string text, numbers = "float32";
  if constexpr (has_threads<B>) {
    text = std::to_string(how.threads) + (how.threads == 1 ? " thread, " : " threads, ");
    if (how.precision == na::Precision::BFloat16) numbers = "bfloat16 products";
    if (how.int8) numbers = "int8";
  } else if constexpr (!std::is_same_v<typename B::Scalar, typename B::Real>) {
    numbers = "bfloat16";
  }
  return text + numbers + rate + " (" + engine_of(backend, how.precision, how.int8) + ")";
}

/// The same of a backend as it is, with the rate of its products: "2 threads, float32, 163 GFLOP/s (packed kernel, …)".
template <class B>
std::string describe(B& backend) {
  char rate[32];
  std::snprintf(rate, sizeof rate, ", %.0f GFLOP/s", product_gflops(backend));
  if constexpr (has_threads<B>)
    return describe(backend, {backend.threads(), backend.precision()}, rate);
  else
    return describe(backend, {0}, rate);
}

/// Says what computes with `model`, on standard error; `threads` of 0 are as many as there may be.
template <class B, class Model>
void tell_engine(const B& backend, const Model& model, int threads, na::Precision precision = na::Precision::Float32) {
  tell(describe(backend, {na::threads_of_each(1, threads), precision, model.parameters().holds_int8()}));
}

}  // namespace examples
