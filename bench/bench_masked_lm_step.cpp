// A whole training step of RoBERTa: the small model, and roberta-base on 8 x 512 tokens with the memory that it takes.
// The operations counted are those of the products with weight matrices, 6 per weight and token that meets it.
#include <benchmark/benchmark.h>

#include <fstream>
#include <string>
#include <vector>

#include "neural_attention/neural_attention.hpp"
#include "peaks.hpp"
#include "random_batches.hpp"
#include "step_flops.hpp"

namespace {

namespace na = neural_attention;
using Backend = na::Cpu<float>;

/// The most memory that the process held since it was last asked, in GiB; 0 where the system does not say.
double peak_gibibytes() {
  double kibibytes = 0.0;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) kibibytes = std::stod(line.substr(6));
  std::ofstream("/proc/self/clear_refs") << "5";
  return kibibytes / (1 << 20);
}

template <class P>
void masked_lm_step(benchmark::State& state) {
  const bool base = state.range(0) != 0;
  auto config = base ? na::roberta_base() : na::roberta_small(16000);
  config.gradient_checkpointing = state.range(2) != 0;
  Backend backend(static_cast<int>(state.range(1)));
  na::Roberta<Backend, P> model(backend, config);
  na::TrainingStep<decltype(model)> step(backend, model, {}, {});
  std::vector<na::MaskedBatch> parts = {base ? bench::random_blocks(8, 512, config)
                                             : bench::random_blocks(16, 128, config)};
  const auto flops = bench::step_flops(backend, model, parts.front());
  peak_gibibytes();
  for (auto _ : state) benchmark::DoNotOptimize(step.run(std::span(parts)));
  bench::report_flops<float>(state, flops.weights, backend.threads());
  state.counters["tokens/s"] =
      benchmark::Counter(double(parts.front().tokens.total()), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["activation_MB"] = double(step.memory().capacity()) / 1e6;
  state.counters["peak_GiB"] = peak_gibibytes();
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"base", "threads", "checkpointing"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const int threads : {1, 2}) benchmark->Args({0, threads, 0});
  for (const int checkpointing : {0, 1}) benchmark->Args({1, 2, checkpointing});
}

}  // namespace

BENCHMARK(masked_lm_step<na::LinearProjections>)->Apply(shapes);
BENCHMARK(masked_lm_step<na::paper::roberta>)->Apply(shapes);
BENCHMARK_MAIN();
