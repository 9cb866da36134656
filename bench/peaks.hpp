// What this machine can do, measured in the same process and at the same time as a benchmark: multiply-adds in
// registers and copies between arrays that no cache holds. Every benchmark reports its figure as a fraction of these.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "rates.hpp"

namespace bench {

/// Measures once for each key.
template <class Key, class Measure>
double cached(std::map<Key, double>& known, const Key& key, Measure&& measure) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const auto found = known.find(key);
  return found != known.end() ? found->second : known[key] = measure();
}

/// Multiply-adds of T with all registers busy, those that compute products of this precision, in 10⁹ floating point
/// operations a second, measured once.
template <class T = float>
double fma_peak_gflops(int threads, neural_attention::Precision precision = neural_attention::Precision::Float32) {
  static std::map<std::pair<int, neural_attention::Precision>, double> known;
  return cached(known, std::pair(threads, precision),
                [&] { return neural_attention::Cpu<T>(threads, precision).peak_gflops(); });
}

/// Bytes read plus bytes written by plain copies of 64 MiB for each thread, in 10⁹ bytes a second.
inline double copy_bandwidth_gbs(int threads) {
  static std::map<int, double> known;
  return cached(known, threads, [threads] {
    constexpr std::size_t count = std::size_t{16} << 20;
    const auto total = count * static_cast<std::size_t>(threads);
    const auto from = std::make_unique<float[]>(total), to = std::make_unique<float[]>(total);
    const double seconds = best_seconds(threads, 10, [&](int tile) {
      const auto first = count * static_cast<std::size_t>(tile);
      std::copy_n(from.get() + first, count, to.get() + first);
      benchmark::ClobberMemory();
    });
    return 2.0 * static_cast<double>(total * sizeof(float)) / seconds / 1e9;
  });
}

/// GB/s of an iteration that moves `bytes` to and from memory, and its share of the copy bandwidth of `threads`
/// threads. More than 1 is possible where the operands fit a cache.
inline void report_bytes(benchmark::State& state, double bytes, int threads) {
  using benchmark::Counter;
  state.counters["GB/s"] = Counter(bytes / 1e9, Counter::kIsIterationInvariantRate);
  state.counters["fraction_of_peak"] =
      Counter(bytes / 1e9 / copy_bandwidth_gbs(threads), Counter::kIsIterationInvariantRate);
}

/// GFLOP/s of an iteration of `flops` operations, and its share of the peak of `threads` threads.
template <class T>
void report_flops(benchmark::State& state, double flops, int threads,
                  neural_attention::Precision precision = neural_attention::Precision::Float32) {
  using benchmark::Counter;
  const double peak = fma_peak_gflops<T>(threads, precision) * 1e9;
  state.counters["GFLOP/s"] = Counter(flops / 1e9, Counter::kIsIterationInvariantRate);
  state.counters["fraction_of_peak"] = Counter(flops / peak, Counter::kIsIterationInvariantRate);
}

}  // namespace bench
