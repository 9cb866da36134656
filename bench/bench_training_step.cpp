// A whole training step of the small model on sentences of realistic lengths: forward, backward, clipping, AdamW.
// The operations counted are those of the products with weight matrices, 6 per weight and token that meets it.
#include <benchmark/benchmark.h>

#include <vector>

#include "neural_attention/neural_attention.hpp"
#include "peaks.hpp"
#include "random_batches.hpp"
#include "step_flops.hpp"

namespace {

namespace na = neural_attention;
using Backend = na::Cpu<float>;

template <class P>
void training_step(benchmark::State& state) {
  const int vocabulary = 4000;
  Backend backend(static_cast<int>(state.range(1)));
  na::Marian<Backend, P> model(backend, na::marian_small(vocabulary));
  na::TrainingStep<decltype(model)> step(backend, model, {.label_smoothing = 0.1}, {});
  std::vector<na::TranslationBatch> parts = {
      bench::random_pairs(static_cast<int>(state.range(0)), vocabulary, bench::caption_length)};
  const auto flops = bench::step_flops(backend, model, parts.front());
  for (auto _ : state) benchmark::DoNotOptimize(step.run(std::span(parts)));
  bench::report_flops<float>(state, flops.weights, backend.threads());
  state.counters["target_tokens/s"] =
      benchmark::Counter(double(parts.front().labels.size()), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["activation_MB"] = double(step.memory().capacity()) / 1e6;
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"tokens", "threads"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const int threads : {1, 2}) benchmark->Args({1200, threads});
}

}  // namespace

BENCHMARK(training_step<na::LinearProjections>)->Apply(shapes);
BENCHMARK(training_step<na::paper::marian>)->Apply(shapes);
BENCHMARK_MAIN();
