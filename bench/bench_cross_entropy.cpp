// Cross-entropy, alone and with its gradient in place, for [tokens, vocabulary] logits.
#include <benchmark/benchmark.h>

#include <vector>

#include "arrays.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "peaks.hpp"

namespace {

namespace ops = neural_attention::ops;
using Backend = neural_attention::Cpu<float>;
using View = neural_attention::Rows<Backend>;

double bytes(View x) { return static_cast<double>(x.size()) * sizeof(float); }

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"tokens", "vocabulary"})
      ->Args({1024, 4000})
      ->Args({4096, 4000})
      ->Args({512, 58101})
      ->Args({1024, 58101});
  bench->UseRealTime()->Unit(benchmark::kMillisecond);
}

void run(benchmark::State& state, double gradient_scale, double passes) {
  Backend backend;
  const auto rows = static_cast<int>(state.range(0)), cols = static_cast<int>(state.range(1));
  bench::Arrays<Backend> arrays(backend);
  const View logits = arrays.random(rows, cols), bias = arrays.random(1, cols), losses = arrays.random(rows, 2);
  std::vector<int> targets;
  for (int i = 0; i < rows; ++i) targets.push_back(static_cast<int>(std::int64_t{i} * 7919 % cols));
  for (auto _ : state) {
    backend(ops::CrossEntropy<Backend>{.logits = logits,
                                       .bias = bias,
                                       .targets = targets,
                                       .smoothing = 0.1,
                                       .gradient_scale = gradient_scale,
                                       .losses = losses});
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, passes * bytes(logits), backend.threads());
}

void cross_entropy(benchmark::State& state) { run(state, 0.0, 1); }
BENCHMARK(cross_entropy)->Apply(shapes);

void cross_entropy_with_gradient(benchmark::State& state) { run(state, 1.0, 2); }
BENCHMARK(cross_entropy_with_gradient)->Apply(shapes);

}  // namespace

BENCHMARK_MAIN();
