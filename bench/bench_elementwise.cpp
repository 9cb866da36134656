// Activations, fixed and learned, dropout, residual sums and embeddings at the paper's shapes: [tokens, width].
#include <benchmark/benchmark.h>

#include <optional>
#include <vector>

#include "arrays.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "peaks.hpp"

namespace {

namespace ops = neural_attention::ops;
using Backend = neural_attention::Cpu<float>;
using View = neural_attention::Rows<Backend>;

double bytes(View x) { return static_cast<double>(x.size()) * sizeof(float); }

using neural_attention::Activation;

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"tokens", "width"})->ArgsProduct({{1024, 4096}, {256, 512, 2048}});
  bench->UseRealTime()->Unit(benchmark::kMicrosecond);
}

/// Times body(backend, x, y, z) on three [tokens, width] matrices of which it passes over `passes`.
template <class Body>
void run(benchmark::State& state, double passes, Body&& body) {
  const auto rows = static_cast<int>(state.range(0)), cols = static_cast<int>(state.range(1));
  Backend backend;
  bench::Arrays<Backend> arrays(backend);
  const View x = arrays.random(rows, cols), y = arrays.random(rows, cols), z = arrays.random(rows, cols);
  for (auto _ : state) {
    body(backend, x, y, z);
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, passes * bytes(x), backend.threads());
}

void forward(benchmark::State& state, Activation f) {
  run(state, 2,
      [f](Backend& backend, View x, View y, View) { backend(ops::Activate<Backend>{.f = f, .x = x, .y = y}); });
}
BENCHMARK_CAPTURE(forward, relu, Activation::Relu)->Apply(shapes);
BENCHMARK_CAPTURE(forward, gelu, Activation::Gelu)->Apply(shapes);
BENCHMARK_CAPTURE(forward, gelu_tanh, Activation::GeluTanh)->Apply(shapes);
BENCHMARK_CAPTURE(forward, silu, Activation::Silu)->Apply(shapes);
BENCHMARK_CAPTURE(forward, mish, Activation::Mish)->Apply(shapes);

void backward(benchmark::State& state, Activation f) {
  run(state, 3, [f](Backend& backend, View x, View dy, View dx) {
    backend(ops::ActivateBackward<Backend>{.f = f, .x = x, .dy = dy, .dx = dx});
  });
}
BENCHMARK_CAPTURE(backward, relu, Activation::Relu)->Apply(shapes);
BENCHMARK_CAPTURE(backward, gelu, Activation::Gelu)->Apply(shapes);
BENCHMARK_CAPTURE(backward, gelu_tanh, Activation::GeluTanh)->Apply(shapes);
BENCHMARK_CAPTURE(backward, silu, Activation::Silu)->Apply(shapes);

/// A learned function of degrees 5 and 4 in 8 groups of columns.
struct Coefficients {
  explicit Coefficients(Backend& backend)
      : arrays(backend),
        above(arrays.random(1, 6)),
        below(arrays.random(8, 4)),
        dabove(arrays.random(1, 6)),
        dbelow(arrays.random(8, 4)) {}
  bench::Arrays<Backend> arrays;
  View above, below, dabove, dbelow;
};

void rational(benchmark::State& state) {
  std::optional<Coefficients> of;
  run(state, 2, [&](Backend& backend, View x, View y, View) {
    if (!of) of.emplace(backend);
    backend(ops::Rational<Backend>{.x = x, .numerator = of->above, .denominator = of->below, .y = y});
  });
}
BENCHMARK(rational)->Apply(shapes);

void rational_backward(benchmark::State& state) {
  std::optional<Coefficients> of;
  run(state, 3, [&](Backend& backend, View x, View dy, View dx) {
    if (!of) of.emplace(backend);
    backend(ops::RationalBackward<Backend>{.dy = dy,
                                           .x = x,
                                           .numerator = of->above,
                                           .denominator = of->below,
                                           .dx = dx,
                                           .dnumerator = of->dabove,
                                           .ddenominator = of->dbelow});
  });
}
BENCHMARK(rational_backward)->Apply(shapes);

const neural_attention::DropoutMask mask{.rate = 0.1, .key = {.seed = 1, .step = 2, .site = 3}};

void dropout(benchmark::State& state) {
  run(state, 2,
      [](Backend& backend, View x, View y, View) { backend(ops::Dropout<Backend>{.x = x, .mask = mask, .y = y}); });
}
BENCHMARK(dropout)->Apply(shapes);

void residual_dropout(benchmark::State& state) {
  run(state, 3, [](Backend& backend, View x, View y, View residual) {
    backend(ops::ResidualDropout<Backend>{.residual = residual, .x = x, .mask = mask, .y = y});
  });
}
BENCHMARK(residual_dropout)->Apply(shapes);

void residual(benchmark::State& state) {
  run(state, 3, [](Backend& backend, View x, View y, View) { backend(ops::Add<Backend>{.x = x, .y = y}); });
}
BENCHMARK(residual)->Apply(shapes);

void multiply(benchmark::State& state) {
  run(state, 3,
      [](Backend& backend, View a, View b, View y) { backend(ops::Multiply<Backend>{.a = a, .b = b, .y = y}); });
}
BENCHMARK(multiply)->Apply(shapes);

/// Tokens, width, vocabulary.
void vocabularies(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"tokens", "width", "vocabulary"})->Args({1200, 256, 4000})->Args({4096, 512, 58101});
  bench->UseRealTime()->Unit(benchmark::kMicrosecond);
}

std::vector<int> some_ids(std::int64_t n, std::int64_t vocabulary) {
  std::vector<int> ids;
  for (std::int64_t i = 0; i < n; ++i) ids.push_back(static_cast<int>(i * i * 7919 % vocabulary));
  return ids;
}

void embedding(benchmark::State& state) {
  Backend backend;
  bench::Arrays<Backend> arrays(backend);
  const auto tokens = static_cast<int>(state.range(0)), width = static_cast<int>(state.range(1));
  const View table = arrays.random(static_cast<int>(state.range(2)), width), y = arrays.random(tokens, width);
  const auto ids = some_ids(state.range(0), state.range(2));
  for (auto _ : state) {
    backend(ops::Embedding<Backend>{.ids = ids, .table = table, .factor = 16.0, .y = y});
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 2 * bytes(y), backend.threads());
}
BENCHMARK(embedding)->Apply(vocabularies);

void embedding_backward(benchmark::State& state) {
  Backend backend;
  bench::Arrays<Backend> arrays(backend);
  const auto tokens = static_cast<int>(state.range(0)), width = static_cast<int>(state.range(1));
  const View table = arrays.random(static_cast<int>(state.range(2)), width), dy = arrays.random(tokens, width);
  const auto ids = some_ids(state.range(0), state.range(2));
  for (auto _ : state) {
    backend(ops::EmbeddingBackward<Backend>{.dy = dy, .ids = ids, .factor = 16.0, .padding = 0, .dtable = table});
    benchmark::ClobberMemory();
  }
  bench::report_bytes(state, 3 * bytes(dy), backend.threads());
}
BENCHMARK(embedding_backward)->Apply(vocabularies);

}  // namespace

BENCHMARK_MAIN();
