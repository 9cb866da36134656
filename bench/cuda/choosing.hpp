// What a decoding round asks of the device besides products: attention over the cache, and tokens chosen from logits.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "bench.hpp"
#include "neural_attention/core/kinds.hpp"

namespace bench::device {

/// One query for each beam, 64 columns a head.
template <class B>
void attention_round(Bench<B>& b, const Shapes& shapes) {
  using T = typename B::Scalar;
  const int rows = shapes.beams, width = shapes.width, heads = width / 64;
  Arrays<B> arrays(b.backend);
  const auto q = arrays.random(rows, width), out = arrays.random(rows, width);
  const auto keys = b.turns(arrays, rows * shapes.cached, width), values = b.turns(arrays, rows * shapes.cached, width);
  const std::vector<int> lengths(static_cast<std::size_t>(rows), shapes.cached);
  std::vector<na::RowsOf<T>> keys_of_rows, values_of_rows;
  b.moves("attention over the cache", shape({rows, shapes.cached, width}), 2 * keys.bytes(), [&](int i) {
    keys_of_rows.clear();
    values_of_rows.clear();
    for (int row = 0; row < rows; ++row) {
      keys_of_rows.push_back(keys[i].slice(row * shapes.cached, shapes.cached));
      values_of_rows.push_back(values[i].slice(row * shapes.cached, shapes.cached));
    }
    b.backend(ops::AttentionRound<B>{.q = q,
                                     .keys = keys_of_rows,
                                     .values = values_of_rows,
                                     .lengths = lengths,
                                     .shape = {heads, 0.125, false},
                                     .out = out});
  });
}

/// Results come to the host, so each call waits.
template <class B>
void choosing(Bench<B>& b, const Shapes& shapes) {
  using T = typename B::Scalar;
  const int rows = shapes.beams;
  Arrays<B> arrays(b.backend);
  const auto logits = b.turns(arrays, rows, shapes.vocabulary);
  const auto sizes = shape({rows, shapes.vocabulary});
  std::vector<double> sums(static_cast<std::size_t>(rows));
  b.moves("log-sum-exp, read back", sizes, logits.bytes(),
          [&](int i) { b.backend(ops::LogSumExp<B>{.x = logits[i], .sums = sums}); });
  for (const int k : {1, 8}) {
    std::vector<T> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(k));
    std::vector<int> columns(values.size());
    b.moves("the largest " + std::to_string(k) + ", read back", sizes, logits.bytes(),
            [&](int i) { b.backend(ops::TopK<B>{.x = logits[i], .k = k, .values = values, .columns = columns}); });
  }
  const std::vector<double> uniforms(static_cast<std::size_t>(rows), 0.5);
  std::vector<int> columns(static_cast<std::size_t>(rows));
  struct Named {
    const char* name;
    na::SamplingShape how;
  };
  for (const auto& [name, how] : {Named{"sample, read back", {}},
                                  {"sample of the largest 50, read back", {1.0, 50, 1.0}},
                                  {"sample of 0.9, read back", {1.0, 0, 0.9}}})
    b.moves(name, sizes, logits.bytes(), [&](int i) {
      b.backend(ops::Sample<B>{.x = logits[i], .how = how, .uniforms = uniforms, .columns = columns});
    });
}

}  // namespace bench::device
