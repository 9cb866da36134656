// One AdamW step, and the gradient norm for clipping, over all parameters as one flat view.
#include <benchmark/benchmark.h>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "peaks.hpp"

namespace {

namespace ops = neural_attention::ops;
using Backend = neural_attention::Cpu<float>;
using View = neural_attention::Rows<Backend>;

double bytes(View x) { return static_cast<double>(x.size()) * sizeof(float); }

/// n equal numbers: what they are does not change the speed, and 116 million random ones would take long.
struct Flat {
  Flat(Backend& backend, int n, float value)
      : memory(backend.allocate(static_cast<std::size_t>(n) * sizeof(float))),
        view(static_cast<float*>(memory.data()), 1, n) {
    backend(ops::Fill<Backend>{.x = view, .value = value});
  }
  Backend::Memory memory;
  View view;
};

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgName("parameters")->Arg(10'000'000)->Arg(116'000'000);
  bench->UseRealTime()->Unit(benchmark::kMillisecond);
}

void adamw(benchmark::State& state) {
  Backend backend;
  const auto n = static_cast<int>(state.range(0));
  const Flat gradient(backend, n, 0.5f), value(backend, n, 1.0f), first(backend, n, 0.0f), second(backend, n, 0.0f);
  neural_attention::AdamStep step{.learning_rate = 3e-4, .weight_decay = 0.01, .step = 1};
  const neural_attention::StepOutcome outcome;
  for (auto _ : state) {
    backend(ops::Adam<Backend>{.how = step,
                               .gradient = gradient.view,
                               .value = value.view,
                               .first_moment = first.view,
                               .second_moment = second.view,
                               .outcome = &outcome});
    benchmark::ClobberMemory();
    ++step.step;
  }
  constexpr double reads_and_writes = 4 + 3;
  bench::report_bytes(state, reads_and_writes * bytes(value.view), backend.threads());
}
BENCHMARK(adamw)->Apply(sizes);

void squared_norm(benchmark::State& state) {
  Backend backend;
  const Flat gradient(backend, static_cast<int>(state.range(0)), 0.5f);
  for (auto _ : state) benchmark::DoNotOptimize(backend(ops::SquaredNorm<Backend>{.x = gradient.view}));
  bench::report_bytes(state, bytes(gradient.view), backend.threads());
}
BENCHMARK(squared_norm)->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
