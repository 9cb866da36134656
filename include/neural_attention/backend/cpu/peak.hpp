// What the threads of a backend can do at most: multiply-adds with all registers busy, which no product of matrices
// exceeds. Processors slow down and share their cores, so it is measured when it is asked for.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <chrono>

#include "neural_attention/backend/cpu/cpu.hpp"

namespace neural_attention::cpu_peak {

inline constexpr int chains = 12;  ///< enough that the latency of a multiply-add is hidden, few enough for registers

template <class T>
T multiply_adds(int rounds) {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  const Packet factor = Eigen::internal::pset1<Packet>(T(0.999)), addend = Eigen::internal::pset1<Packet>(T(0.001));
  Packet values[chains];
  for (int i = 0; i < chains; ++i) values[i] = Eigen::internal::pset1<Packet>(T(i));
  for (int round = 0; round < rounds; ++round)
    for (int i = 0; i < chains; ++i) values[i] = Eigen::internal::pmadd(values[i], factor, addend);
  for (int i = 1; i < chains; ++i) values[0] = Eigen::internal::padd(values[0], values[i]);
  return Eigen::internal::predux(values[0]);
}

template <class T>
double gflops(CpuEngine<T>& cpu) {
  using Clock = std::chrono::steady_clock;
  // Short, so that some of them run undisturbed where other processes share the cores.
  constexpr int rounds = 100'000, repetitions = 200;
  constexpr double width = static_cast<double>(Eigen::internal::packet_traits<T>::size);
  double best = 1e30;
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    const auto start = Clock::now();
    cpu.threads.run(cpu.threads.threads(), [](int, int) {
      const T result = multiply_adds<T>(rounds);
      asm volatile("" : : "m"(result) : "memory");  // so that it is computed
    });
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return 2.0 * rounds * chains * width * cpu.threads.threads() / best / 1e9;
}

}  // namespace neural_attention::cpu_peak
