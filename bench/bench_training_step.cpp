// A whole training step of the small model on sentences of realistic lengths: forward, backward, clipping, AdamW.
// The operations counted are those of the products with weight matrices, 6 per weight and token that meets it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "arrays.hpp"
#include "neural_attention/neural_attention.hpp"
#include "peaks.hpp"
#include "step_flops.hpp"

namespace {

namespace na = neural_attention;
using Backend = na::Cpu<float>;

/// About `tokens` target tokens in sentences of 4 to 30, as captions have them.
na::TranslationBatch random_batch(int tokens, int vocabulary) {
  na::RandomStream random({7, 0, 0});
  na::TranslationBatch batch(vocabulary - 1);
  const auto sentence = [&](int length) {
    std::vector<int> ids;
    for (int i = 0; i + 1 < length; ++i) ids.push_back(2 + static_cast<int>(random.below(vocabulary - 3)));
    ids.push_back(0);
    return ids;
  };
  while (batch.decoder_input.total() < tokens) {
    const int length = std::clamp(static_cast<int>(15.0 + 5.0 * random.normal()), 4, 30);
    batch.push(sentence(length + static_cast<int>(random.below(3)) - 1), sentence(length));
  }
  return batch;
}

template <class P>
void training_step(benchmark::State& state) {
  const int vocabulary = 4000;
  Backend backend(static_cast<int>(state.range(1)));
  na::Marian<Backend, P> model(backend, na::marian_small(vocabulary));
  na::TrainingStep<decltype(model)> step(backend, model, {.label_smoothing = 0.1}, {});
  std::vector<na::TranslationBatch> parts = {random_batch(static_cast<int>(state.range(0)), vocabulary)};
  for (auto _ : state) benchmark::DoNotOptimize(step.run(std::span(parts)));
  bench::report_flops<float>(state, bench::weight_flops(model, parts.front()), backend.threads());
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
