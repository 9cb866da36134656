// The highest speed of a backend's threads: multiply-adds with all registers busy, which no product of matrices
// exceeds. Processors slow down and share their cores, so it is measured when it is asked for.
#pragma once

#include <algorithm>
#include <chrono>
#include <type_traits>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/backend/cpu/gemm_numbers.hpp"
#include "neural_attention/backend/cpu/gemm_tiles.hpp"

namespace neural_attention::cpu_peak {

template <class T>
double gflops(CpuEngine<T>& cpu) {
  using Clock = std::chrono::steady_clock;
  // Short, so that some of them run undisturbed where other processes share the cores.
  constexpr int rounds = 100'000, repetitions = 200;
  double flops = 2.0 * rounds * cpu_gemm::chains * cpu_gemm::Blocks<T>::packet * cpu.threads.threads();
  auto run = cpu_gemm::run_steps<T, cpu_gemm::MultiplyAdd>;
#if NEURAL_ATTENTION_BFLOAT16_PAIRS
  if constexpr (std::is_same_v<T, float>)
    if (cpu_gemm::numbers_of<T>(cpu.precision) == cpu_gemm::Numbers::Pairs) {
      flops *= 2;
      run = cpu_gemm::run_steps<T, cpu_gemm::PairMultiplyAdd>;
    }
#endif
#if NEURAL_ATTENTION_BFLOAT16_TILES
  if constexpr (std::is_same_v<T, float>)
    if (cpu_gemm::numbers_of<T>(cpu.precision) == cpu_gemm::Numbers::Tiles) {
      flops = cpu_gemm::tiles::round_flops * rounds * cpu.threads.threads();
      run = cpu_gemm::tiles::run_steps;
    }
#endif
  double best = 1e30;
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    const auto start = Clock::now();
    cpu.threads.run(cpu.threads.threads(), [run](int, int) {
      const T result = run(rounds);
      asm volatile("" : : "m"(result) : "memory");  // so that it is computed
    });
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return flops / best / 1e9;
}

}  // namespace neural_attention::cpu_peak
