// LayerNorm, RMSNorm and their backward passes at the paper's shapes: [tokens, width].
#include <benchmark/benchmark.h>

#include "arrays.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "peaks.hpp"

namespace {

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
    backend.layer_norm(o.x, o.gain, o.bias, 1e-5, true, o.y, o.stats);
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 2 * bytes(o.x), backend.threads());
}
BENCHMARK(layer_norm)->Apply(shapes);

void layer_norm_backward(benchmark::State& state) {
  Backend backend;
  Operands o(backend, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  backend.layer_norm(o.x, o.gain, o.bias, 1e-5, true, o.y, o.stats);
  for (auto _ : state) {
    backend.layer_norm_backward(o.dy, o.x, o.y, o.gain, o.stats, true, false, o.dx, o.dgain, o.dbias);
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 4 * bytes(o.x), backend.threads());
}
BENCHMARK(layer_norm_backward)->Apply(shapes);

void rms_norm(benchmark::State& state) {
  Backend backend;
  Operands o(backend, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  for (auto _ : state) {
    backend.rms_norm(o.x, o.gain, 1e-5, true, o.y, o.rstd);
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 2 * bytes(o.x), backend.threads());
}
BENCHMARK(rms_norm)->Apply(shapes);

void rms_norm_backward(benchmark::State& state) {
  Backend backend;
  Operands o(backend, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  backend.rms_norm(o.x, o.gain, 1e-5, true, o.y, o.rstd);
  for (auto _ : state) {
    backend.rms_norm_backward(o.dy, o.x, o.y, o.gain, o.rstd, true, false, o.dx, o.dgain);
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 4 * bytes(o.x), backend.threads());
}
BENCHMARK(rms_norm_backward)->Apply(shapes);

}  // namespace

BENCHMARK_MAIN();
