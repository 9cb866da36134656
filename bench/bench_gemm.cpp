// The three products of a linear map at the models' shapes: y = x wᵀ, dx = dy w, dw += dyᵀ x, in float and of bfloat16
// numbers, and y by Eigen's own product on one thread beside them. GFLOP/s, and the fraction of the peak, measured in
// this process, of the instruction that computes them.
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <utility>

#include "arrays.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "peaks.hpp"

namespace {

namespace na = neural_attention;
namespace ops = neural_attention::ops;
using Backend = na::Cpu<float>;

enum Product { Forward, InputGradient, WeightGradient };

void gemm(benchmark::State& state, Product product, na::Precision precision) {
  const int tokens = static_cast<int>(state.range(0)), out = static_cast<int>(state.range(1)),
            in = static_cast<int>(state.range(2));
  Backend backend(static_cast<int>(state.range(3)), precision);
  bench::Arrays<Backend> arrays(backend);
  const auto x = arrays.random(tokens, in), w = arrays.random(out, in), y = arrays.random(tokens, out);
  const ops::Linear<Backend> forward{.x = x, .w = w, .activation = na::Activation::Identity, .y = y};
  for (auto _ : state) {
    if (product == Forward) backend(forward);
    if (product == InputGradient) backend(ops::LinearInputGradient<Backend>{.dy = y, .w = w, .dx = x});
    if (product == WeightGradient) backend(ops::LinearWeightGradient<Backend>{.dy = y, .x = x, .dw = w});
    benchmark::ClobberMemory();
  }
  bench::report_flops<float>(state, ops::flop(forward), backend.threads(), precision);  // of all three
}

void eigen(benchmark::State& state) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto tokens = state.range(0), out = state.range(1), in = state.range(2);
  const Matrix x = Matrix::Random(tokens, in), w = Matrix::Random(out, in);
  Matrix y(tokens, out);
  for (auto _ : state) {
    y.noalias() = x * w.transpose();
    benchmark::ClobberMemory();
  }
  bench::report_flops<float>(state, 2.0 * double(tokens) * double(out) * double(in), 1);
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"tokens", "out", "in", "threads"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const int threads : {1, 2}) {
    for (const int tokens : {1200, 4096})
      for (const auto& [out, in] :
           {std::pair{512, 256}, {256, 512}, {1024, 512}, {512, 1024}, {2048, 512}, {3072, 768}})
        benchmark->Args({tokens, out, in, threads});
    benchmark->Args({1024, 4000, 256, threads})->Args({288, 58101, 512, threads});
  }
}

}  // namespace

BENCHMARK_CAPTURE(gemm, forward, Forward, na::Precision::Float32)->Apply(shapes);
BENCHMARK_CAPTURE(gemm, input_gradient, InputGradient, na::Precision::Float32)->Apply(shapes);
BENCHMARK_CAPTURE(gemm, weight_gradient, WeightGradient, na::Precision::Float32)->Apply(shapes);
BENCHMARK_CAPTURE(gemm, forward_bfloat16, Forward, na::Precision::BFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(gemm, input_gradient_bfloat16, InputGradient, na::Precision::BFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(gemm, weight_gradient_bfloat16, WeightGradient, na::Precision::BFloat16)->Apply(shapes);
BENCHMARK(eigen)->ArgNames({"tokens", "out", "in"})->Args({1200, 512, 512})->Args({1200, 2048, 512})->UseRealTime();
BENCHMARK_MAIN();
