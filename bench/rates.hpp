// The time that work takes, and the rate of memory. For programs with and without Google Benchmark.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/threads.hpp"

namespace bench {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Best of some runs of body(worker) on `threads` threads at once, in seconds.
template <class Body>
double best_seconds(int threads, int repetitions, Body&& body) {
  neural_attention::ThreadPool pool(threads);
  double best = 1e30;
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    const auto start = std::chrono::steady_clock::now();
    pool.run(threads, [&](int tile, int) { body(tile); });
    best = std::min(best, seconds_since(start));
  }
  return best;
}

/// What `threads` threads read of an array as large as the weights of a GPT-2, in 10⁹ bytes a second: the fastest of
/// five times.
inline double read_bandwidth_gbs(int threads) {
  constexpr std::ptrdiff_t count = std::ptrdiff_t{1} << 27;
  const neural_attention::CpuMemory memory(count * sizeof(float));
  float* const numbers = static_cast<float*>(memory.data());
  const auto part = count / threads;
  std::fill_n(numbers, count, 1.0f);
  std::vector<float> sums(static_cast<std::size_t>(threads));
  const double seconds = best_seconds(threads, 5, [&](int tile) {
    sums[static_cast<std::size_t>(tile)] = Eigen::Map<const Eigen::ArrayXf>(numbers + tile * part, part).sum();
    asm volatile("" : : "r"(sums.data()) : "memory");  // so that it is computed
  });
  return double(part * threads) * sizeof(float) / seconds / 1e9;
}

}  // namespace bench
