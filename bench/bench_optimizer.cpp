// One step of each update rule, and the gradient norm for clipping, over all parameters as one flat view.
#include <benchmark/benchmark.h>

#include <vector>

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

template <class Rule>
void update(benchmark::State& state) {
  Backend backend;
  const auto n = static_cast<int>(state.range(0));
  const Flat gradient(backend, n, 0.5f), value(backend, n, 1.0f);
  std::vector<Flat> kept;
  const neural_attention::StepOutcome outcome;
  ops::Update<Backend, Rule> op{.rule = {}, .gradient = gradient.view, .value = value.view, .outcome = &outcome};
  for (auto& moment : op.moments) moment = kept.emplace_back(backend, n, 0.0f).view;
  op.rule.learning_rate = 3e-4;
  op.rule.weight_decay = 0.01;
  for (auto _ : state) {
    backend(op);
    benchmark::ClobberMemory();
    if constexpr (requires { op.rule.step; }) ++op.rule.step;
  }
  bench::report_bytes(state, ops::bytes(op), backend.threads());
}

template <class... Rules>
void add_all(neural_attention::UpdateRuleList<Rules...>) {
  (benchmark::RegisterBenchmark(Rules::name.data(), update<Rules>)->Apply(sizes), ...);
}

void squared_norm(benchmark::State& state) {
  Backend backend;
  const Flat gradient(backend, static_cast<int>(state.range(0)), 0.5f);
  for (auto _ : state) benchmark::DoNotOptimize(backend(ops::SquaredNorm<Backend>{.x = gradient.view}));
  bench::report_bytes(state, bytes(gradient.view), backend.threads());
}
BENCHMARK(squared_norm)->Apply(sizes);

}  // namespace

int main(int argc, char** argv) {
  add_all(neural_attention::UpdateRules());
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
