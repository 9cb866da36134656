// Variable-length attention, forward and backward, at the lengths of translation and of language modelling. The count
// of operations is that of the products: 4 · queries · keys · width forward and 10 backward, when causal, of the pairs
// that are seen.
#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "arrays.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "peaks.hpp"

namespace {

namespace na = neural_attention;
namespace ops = neural_attention::ops;
using Backend = na::Cpu<float>;

void attention(benchmark::State& state, bool backward) {
  const int tokens = 4096, length = static_cast<int>(state.range(0)), width = static_cast<int>(state.range(1));
  const int heads = width / 64, sequences = tokens / length;
  const bool causal = state.range(2) != 0;
  Backend backend(static_cast<int>(state.range(3)));
  bench::Arrays<Backend> arrays(backend);
  const auto q = arrays.random(tokens, width), k = arrays.random(tokens, width), v = arrays.random(tokens, width);
  const auto out = arrays.random(tokens, width), dout = arrays.random(tokens, width);
  const auto dq = arrays.random(tokens, width), dk = arrays.random(tokens, width), dv = arrays.random(tokens, width);
  const auto log_sum = arrays.random(tokens, heads);
  const na::Ragged offsets(std::vector<int>(static_cast<std::size_t>(sequences), length));
  const na::AttentionShape shape{heads, 1.0 / std::sqrt(double(width) / heads), causal};
  const ops::Attention<Backend> attend{
      .q = q, .k = k, .v = v, .queries = offsets, .keys = offsets, .shape = shape, .out = out, .log_sum_exp = log_sum};
  const ops::AttentionBackward<Backend> attend_backward{.dout = dout,
                                                        .q = q,
                                                        .k = k,
                                                        .v = v,
                                                        .out = out,
                                                        .log_sum_exp = log_sum,
                                                        .queries = offsets,
                                                        .keys = offsets,
                                                        .shape = shape,
                                                        .dq = dq,
                                                        .dk = dk,
                                                        .dv = dv};
  backend(attend);
  for (auto _ : state) {
    if (backward)
      backend(attend_backward);
    else
      backend(attend);
    benchmark::ClobberMemory();
  }
  bench::report_flops<float>(state, backward ? ops::flop(attend_backward) : ops::flop(attend), backend.threads());
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"length", "width", "causal", "threads"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const int threads : {1, 2})
    for (const int length : {16, 32, 128, 512})
      for (const int causal : {0, 1}) benchmark->Args({length, 512, causal, threads});
}

}  // namespace

BENCHMARK_CAPTURE(attention, forward, false)->Apply(shapes);
BENCHMARK_CAPTURE(attention, backward, true)->Apply(shapes);
BENCHMARK_MAIN();
