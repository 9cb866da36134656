// What this machine's cores can do: multiply-adds in registers, measured now. For programs with and without Google
// Benchmark.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <chrono>

#include "neural_attention/core/threads.hpp"

namespace bench {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Makes the compiler compute x.
template <class T>
void keep(const T& x) {
  asm volatile("" : : "m"(x) : "memory");
}

/// A chain long enough that the latency of a multiply-add is hidden, in registers.
template <class T>
T multiply_adds(int rounds) {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  constexpr int chains = 12;
  const Packet factor = Eigen::internal::pset1<Packet>(T(0.999)), addend = Eigen::internal::pset1<Packet>(T(0.001));
  Packet values[chains];
  for (int i = 0; i < chains; ++i) values[i] = Eigen::internal::pset1<Packet>(T(i));
  for (int round = 0; round < rounds; ++round)
    for (int i = 0; i < chains; ++i) values[i] = Eigen::internal::pmadd(values[i], factor, addend);
  for (int i = 1; i < chains; ++i) values[0] = Eigen::internal::padd(values[0], values[i]);
  return Eigen::internal::predux(values[0]);
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

/// Multiply-adds of T with all registers busy, in 10⁹ floating point operations a second, measured now.
template <class T = float>
double measure_fma_gflops(int threads) {
  constexpr int rounds = 2'000'000, chains = 12;
  constexpr double width = static_cast<double>(Eigen::internal::packet_traits<T>::size);
  const double seconds = best_seconds(threads, 10, [](int) { keep(multiply_adds<T>(rounds)); });
  return 2.0 * rounds * chains * width * threads / seconds / 1e9;
}

}  // namespace bench
