// What a decoding round asks of its logits [rows, vocabulary]: log-sum-exp, the likeliest tokens of 64 sentences with 4
// beams, and random draws.
#include <benchmark/benchmark.h>

#include <vector>

#include "arrays.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "peaks.hpp"

namespace {

namespace ops = neural_attention::ops;
using Backend = neural_attention::Cpu<float>;
using View = neural_attention::Rows<Backend>;

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "vocabulary"})->Args({4, 58101})->Args({64 * 4, 4000})->Args({64 * 4, 58101});
  bench->UseRealTime()->Unit(benchmark::kMillisecond);
}

/// Runs body(backend, logits) and reports the logits as what it reads.
template <class Body>
void run(benchmark::State& state, Body&& body) {
  Backend backend;
  bench::Arrays<Backend> arrays(backend);
  const View logits = arrays.random(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  for (auto _ : state) {
    body(backend, logits);
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, static_cast<double>(logits.size()) * sizeof(float), backend.threads());
}

void log_sum_exp(benchmark::State& state) {
  std::vector<double> sums(static_cast<std::size_t>(state.range(0)));
  run(state, [&](Backend& backend, View logits) { backend(ops::LogSumExp<Backend>{.x = logits, .sums = sums}); });
}
BENCHMARK(log_sum_exp)->Apply(shapes);

void largest(benchmark::State& state, int k) {
  std::vector<float> values(static_cast<std::size_t>(state.range(0)) * static_cast<std::size_t>(k));
  std::vector<int> columns(values.size());
  run(state, [&](Backend& backend, View logits) {
    backend(ops::TopK<Backend>{.x = logits, .k = k, .values = values, .columns = columns});
  });
}
void top_1(benchmark::State& state) { largest(state, 1); }
BENCHMARK(top_1)->Apply(shapes);
void top_8(benchmark::State& state) { largest(state, 8); }
BENCHMARK(top_8)->Apply(shapes);

void sample(benchmark::State& state, const neural_attention::SamplingShape& how) {
  const auto rows = static_cast<std::size_t>(state.range(0));
  std::vector<double> uniforms;
  for (std::size_t r = 0; r < rows; ++r) uniforms.push_back((static_cast<double>(r) + 0.5) / static_cast<double>(rows));
  std::vector<int> columns(rows);
  run(state, [&](Backend& backend, View logits) {
    backend(ops::Sample<Backend>{.x = logits, .how = how, .uniforms = uniforms, .columns = columns});
  });
}
void sample_all(benchmark::State& state) { sample(state, {1.0, 0, 1.0}); }
BENCHMARK(sample_all)->Apply(shapes);
void sample_top_50(benchmark::State& state) { sample(state, {1.0, 50, 1.0}); }
BENCHMARK(sample_top_50)->Apply(shapes);
void sample_nucleus(benchmark::State& state) { sample(state, {0.001, 0, 0.9}); }
BENCHMARK(sample_nucleus)->Apply(shapes);

}  // namespace

BENCHMARK_MAIN();
