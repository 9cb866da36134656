// Products of matrices and attention.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bench.hpp"
#include "random_batches.hpp"

namespace bench::device {

template <class B>
void product(Bench<B>& b, int tokens, int out, int in) {
  using Real = typename B::Real;
  Arrays<B> arrays(b.backend);
  const auto x = b.turns(arrays, tokens, in), y = b.turns(arrays, tokens, out);
  const auto w = arrays.random(out, in), bias = arrays.random(1, out);
  const auto dw = arrays.template random<Real>(out, in), db = arrays.template random<Real>(1, out);
  const double flops = ops::flop(ops::Linear<B>{.x = x[0], .w = w, .y = y[0]});  // of all three products
  const auto sizes = shape({tokens, out, in});
  const auto forward = [&](na::Activation f) {
    return [&, f](int i) { b.backend(ops::Linear<B>{.x = x[i], .w = w, .bias = bias, .activation = f, .y = y[i]}); };
  };
  b.computes("linear", sizes, flops, forward(na::Activation::Identity));
  b.computes("linear, ReLU", sizes, flops, forward(na::Activation::Relu));
  b.computes("linear, GELU", sizes, flops, forward(na::Activation::Gelu));
  b.computes("linear, gradient of x", sizes, flops,
             [&](int i) { b.backend(ops::LinearInputGradient<B>{.dy = y[i], .w = w, .dx = x[i]}); });
  b.computes("linear, gradient of w", sizes, flops,
             [&](int i) { b.backend(ops::LinearWeightGradient<B>{.dy = y[i], .x = x[i], .dw = dw}); });
  b.moves("linear, gradient of the bias", shape({tokens, out}), y.bytes(),
          [&](int i) { b.backend(ops::BiasGradient<B>{.dy = y[i], .db = db}); });
}

template <class B>
void products(Bench<B>& b, const Shapes& shapes) {
  const int width = shapes.width, block_width = shapes.block_width;
  for (const auto& [out, in] :
       {std::pair{width, width}, {2 * width, width}, {width, 2 * width}, {shapes.inner, width}, {width, shapes.inner}})
    product(b, shapes.tokens, out, in);
  product(b, shapes.logits, shapes.vocabulary, width);
  for (const auto& [out, in] : {std::pair{block_width, block_width},
                                {2 * block_width, block_width},
                                {block_width, 2 * block_width},
                                {shapes.block_inner, block_width},
                                {block_width, shapes.block_inner}})
    product(b, shapes.block_tokens, out, in);
}

template <class B>
void attend(Bench<B>& b, const std::vector<int>& lengths, int width, const std::string& named, bool causal,
            double dropout) {
  const na::Ragged offsets(lengths);
  const int tokens = offsets.total(), heads = width / 64;
  Arrays<B> arrays(b.backend);
  const auto q = b.turns(arrays, tokens, width), k = b.turns(arrays, tokens, width), v = b.turns(arrays, tokens, width),
             out = b.turns(arrays, tokens, width);
  const auto dout = b.turns(arrays, tokens, width), dq = b.turns(arrays, tokens, width),
             dk = b.turns(arrays, tokens, width), dv = b.turns(arrays, tokens, width);
  const auto log_sum = arrays.template random<typename B::Real>(tokens, heads);
  const na::AttentionShape how{heads, 0.125, causal};
  const na::DropoutMask mask{.rate = dropout, .key = {.seed = 1, .step = 2, .site = 3}};
  double pairs = 0.0;
  for (const int length : lengths) pairs += double(length) * length * (causal ? 0.5 : 1.0);
  const auto sizes =
      named + ", " + std::to_string(heads) + " × 64" + (causal ? ", causal" : "") + (dropout > 0.0 ? ", dropout" : "");
  b.computes("attention", sizes, 4.0 * pairs * width, [&](int i) {
    b.backend(ops::Attention<B>{.q = q[i],
                                .k = k[i],
                                .v = v[i],
                                .queries = offsets,
                                .keys = offsets,
                                .shape = how,
                                .mask = mask,
                                .out = out[i],
                                .log_sum_exp = log_sum});
  });
  b.computes("attention, backward", sizes, 10.0 * pairs * width, [&](int i) {
    b.backend(ops::AttentionBackward<B>{.dout = dout[i],
                                        .q = q[i],
                                        .k = k[i],
                                        .v = v[i],
                                        .out = out[i],
                                        .log_sum_exp = log_sum,
                                        .queries = offsets,
                                        .keys = offsets,
                                        .shape = how,
                                        .mask = mask,
                                        .dq = dq[i],
                                        .dk = dk[i],
                                        .dv = dv[i]});
  });
}

/// Of heads with 64 columns: sequences of one length, and sentences as training has them.
template <class B>
void attention(Bench<B>& b, const Shapes& shapes) {
  const int width = shapes.width;
  for (const int length : shapes.lengths) {
    const int sequences = shapes.tokens / length;
    const std::vector<int> lengths(static_cast<std::size_t>(sequences), length);
    const auto named = std::to_string(sequences) + " sequences of " + std::to_string(length);
    for (const bool causal : {false, true}) attend(b, lengths, width, named, causal, 0.0);
  }
  std::vector<int> sentences;
  na::RandomStream random({5, 0, 0});
  for (int total = 0; total < shapes.tokens; total += sentences.back()) sentences.push_back(speech_length(random));
  const auto named = std::to_string(sentences.size()) + " sentences";
  for (const bool causal : {false, true}) attend(b, sentences, width, named, causal, 0.0);
  attend(b, sentences, width, named, true, 0.1);
}

}  // namespace bench::device
