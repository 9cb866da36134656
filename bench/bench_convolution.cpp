// Depthwise convolution of three tokens and its backward pass at the paper's shapes: [tokens, width], sequences of 32.
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
  bench->ArgNames({"tokens", "width"})->ArgsProduct({{1024, 4096}, {256, 512, 768}});
  bench->UseRealTime()->Unit(benchmark::kMicrosecond);
}

struct Operands {
  Operands(Backend& backend, int rows, int cols)
      : sequences(std::vector<int>(static_cast<std::size_t>(rows / 32), 32)),
        arrays(backend),
        x(arrays.random(rows, cols)),
        y(arrays.random(rows, cols)),
        dx(arrays.random(rows, cols)),
        kernel(arrays.random(3, cols)),
        dkernel(arrays.random(3, cols)) {}
  neural_attention::Ragged sequences;
  bench::Arrays<Backend> arrays;
  View x, y, dx, kernel, dkernel;
};

void depthwise_convolution(benchmark::State& state) {
  Backend backend;
  Operands o(backend, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  for (auto _ : state) {
    backend(ops::DepthwiseConvolution<Backend>{.x = o.x, .kernel = o.kernel, .sequences = o.sequences, .y = o.y});
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 2 * bytes(o.x), backend.threads());
}
BENCHMARK(depthwise_convolution)->Apply(shapes);

void depthwise_convolution_backward(benchmark::State& state) {
  Backend backend;
  Operands o(backend, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  for (auto _ : state) {
    backend(ops::DepthwiseConvolutionBackward<Backend>{
        .dy = o.y, .x = o.x, .kernel = o.kernel, .sequences = o.sequences, .dx = o.dx, .dkernel = o.dkernel});
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 3 * bytes(o.x), backend.threads());
}
BENCHMARK(depthwise_convolution_backward)->Apply(shapes);

}  // namespace

BENCHMARK_MAIN();
