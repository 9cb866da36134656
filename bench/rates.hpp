// The time that work takes. For programs with and without Google Benchmark.
#pragma once

#include <algorithm>
#include <chrono>

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

}  // namespace bench
