// LayerNorm, RMSNorm and their backward passes at the paper's shapes: [tokens, width].
#include <benchmark/benchmark.h>

#include "arrays.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "peaks.hpp"

namespace {

namespace ops = neural_attention::ops;
using Backend = neural_attention::Cpu<float>;
using View = neural_attention::Rows<Backend>;

double bytes(View x) { return static_cast<double>(x.size()) * sizeof(float); }

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"tokens", "width"})->ArgsProduct({{1024, 4096}, {256, 512, 1024, 2048}});
  bench->UseRealTime()->Unit(benchmark::kMicrosecond);
}

struct Operands {
  Operands(Backend& backend, int rows, int cols)
      : arrays(backend),
        x(arrays.random(rows, cols)),
        y(arrays.random(rows, cols)),
        dy(arrays.random(rows, cols)),
        dx(arrays.random(rows, cols)),
        gain(arrays.random(1, cols)),
        bias(arrays.random(1, cols)),
        dgain(arrays.random(1, cols)),
        dbias(arrays.random(1, cols)),
        stats(arrays.random(rows, 2)),
        rstd(arrays.random(rows, 1)) {}
  bench::Arrays<Backend> arrays;
  View x, y, dy, dx, gain, bias, dgain, dbias, stats, rstd;
};

void layer_norm(benchmark::State& state) {
  Backend backend;
  Operands o(backend, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  for (auto _ : state) {
    backend(ops::LayerNorm<Backend>{
        .x = o.x, .gain = o.gain, .bias = o.bias, .epsilon = 1e-5, .relu = true, .y = o.y, .stats = o.stats});
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 2 * bytes(o.x), backend.threads());
}
BENCHMARK(layer_norm)->Apply(shapes);

void layer_norm_backward(benchmark::State& state) {
  Backend backend;
  Operands o(backend, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  backend(ops::LayerNorm<Backend>{
      .x = o.x, .gain = o.gain, .bias = o.bias, .epsilon = 1e-5, .relu = true, .y = o.y, .stats = o.stats});
  for (auto _ : state) {
    backend(ops::LayerNormBackward<Backend>{.dy = o.dy,
                                            .x = o.x,
                                            .y = o.y,
                                            .gain = o.gain,
                                            .stats = o.stats,
                                            .relu = true,
                                            .dx = o.dx,
                                            .dgain = o.dgain,
                                            .dbias = o.dbias});
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 4 * bytes(o.x), backend.threads());
}
BENCHMARK(layer_norm_backward)->Apply(shapes);

void rms_norm(benchmark::State& state) {
  Backend backend;
  Operands o(backend, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  for (auto _ : state) {
    backend(ops::RmsNorm<Backend>{.x = o.x, .gain = o.gain, .epsilon = 1e-5, .relu = true, .y = o.y, .stats = o.rstd});
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 2 * bytes(o.x), backend.threads());
}
BENCHMARK(rms_norm)->Apply(shapes);

void rms_norm_backward(benchmark::State& state) {
  Backend backend;
  Operands o(backend, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  backend(ops::RmsNorm<Backend>{.x = o.x, .gain = o.gain, .epsilon = 1e-5, .relu = true, .y = o.y, .stats = o.rstd});
  for (auto _ : state) {
    backend(ops::RmsNormBackward<Backend>{
        .dy = o.dy, .x = o.x, .y = o.y, .gain = o.gain, .stats = o.rstd, .relu = true, .dx = o.dx, .dgain = o.dgain});
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 4 * bytes(o.x), backend.threads());
}
BENCHMARK(rms_norm_backward)->Apply(shapes);

}  // namespace

BENCHMARK_MAIN();
