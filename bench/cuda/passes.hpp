// What passes over activations, logits or parameters once.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "bench.hpp"

namespace bench::device {

template <class B>
void norms(Bench<B>& b, int tokens, int width) {
  using Real = typename B::Real;
  Arrays<B> arrays(b.backend);
  const auto x = b.turns(arrays, tokens, width), y = b.turns(arrays, tokens, width),
             dy = b.turns(arrays, tokens, width), dx = b.turns(arrays, tokens, width);
  const auto gain = arrays.random(1, width), bias = arrays.random(1, width);
  const auto stats = arrays.template random<Real>(tokens, 2), rstd = arrays.template random<Real>(tokens, 1);
  const auto dgain = arrays.template random<Real>(1, width), dbias = arrays.template random<Real>(1, width);
  const auto sizes = shape({tokens, width});
  for (const bool relu : {false, true}) {
    b.moves(relu ? "LayerNorm, ReLU" : "LayerNorm", sizes, 2 * x.bytes(), [&](int i) {
      b.backend(ops::LayerNorm<B>{
          .x = x[i], .gain = gain, .bias = bias, .epsilon = 1e-5, .relu = relu, .y = y[i], .stats = stats});
    });
    b.moves(relu ? "LayerNorm, ReLU, backward" : "LayerNorm, backward", sizes, (relu ? 4 : 3) * x.bytes(), [&](int i) {
      b.backend(ops::LayerNormBackward<B>{.dy = dy[i],
                                          .x = x[i],
                                          .y = y[i],
                                          .gain = gain,
                                          .stats = stats,
                                          .relu = relu,
                                          .dx = dx[i],
                                          .dgain = dgain,
                                          .dbias = dbias});
    });
  }
  b.moves("RMSNorm", sizes, 2 * x.bytes(), [&](int i) {
    b.backend(ops::RmsNorm<B>{.x = x[i], .gain = gain, .epsilon = 1e-5, .y = y[i], .stats = rstd});
  });
  b.moves("RMSNorm, backward", sizes, 3 * x.bytes(), [&](int i) {
    b.backend(ops::RmsNormBackward<B>{
        .dy = dy[i], .x = x[i], .y = y[i], .gain = gain, .stats = rstd, .dx = dx[i], .dgain = dgain});
  });
}

template <class B>
void elementwise(Bench<B>& b, int tokens, int width) {
  Arrays<B> arrays(b.backend);
  const auto x = b.turns(arrays, tokens, width), y = b.turns(arrays, tokens, width), z = b.turns(arrays, tokens, width);
  const auto sizes = shape({tokens, width});
  const na::DropoutMask mask{.rate = 0.1, .key = {.seed = 1, .step = 2, .site = 3}};
  struct Named {
    const char *forward, *backward;
    na::Activation f;
  };
  for (const auto& [forward, backward, f] : {Named{"ReLU", "ReLU, backward", na::Activation::Relu},
                                             {"GELU", "GELU, backward", na::Activation::Gelu},
                                             {"SiLU", "SiLU, backward", na::Activation::Silu}}) {
    b.moves(forward, sizes, 2 * x.bytes(), [&](int i) { b.backend(ops::Activate<B>{.f = f, .x = x[i], .y = y[i]}); });
    b.moves(backward, sizes, 3 * x.bytes(),
            [&](int i) { b.backend(ops::ActivateBackward<B>{.f = f, .x = x[i], .dy = y[i], .dx = z[i]}); });
  }
  b.moves("dropout", sizes, 2 * x.bytes(),
          [&](int i) { b.backend(ops::Dropout<B>{.x = x[i], .mask = mask, .y = y[i]}); });
  b.moves("residual + dropout", sizes, 3 * x.bytes(),
          [&](int i) { b.backend(ops::ResidualDropout<B>{.residual = z[i], .x = x[i], .mask = mask, .y = y[i]}); });
  b.moves("sum", sizes, 3 * x.bytes(), [&](int i) { b.backend(ops::Add<B>{.x = x[i], .y = y[i]}); });
  b.moves("scale", sizes, 2 * x.bytes(), [&](int i) { b.backend(ops::Scale<B>{.x = x[i], .factor = -1.0}); });
}

template <class B>
void embeddings(Bench<B>& b, const Shapes& shapes) {
  using Real = typename B::Real;
  const int tokens = shapes.tokens, width = shapes.width;
  Arrays<B> arrays(b.backend);
  const auto table = arrays.random(shapes.vocabulary, width);
  const auto dtable = arrays.template random<Real>(shapes.vocabulary, width);
  const auto y = b.turns(arrays, tokens, width);
  const auto ids = some_ids(tokens, shapes.vocabulary);
  const auto sizes = shape({tokens, width});
  const double gradients = 2.0 * tokens * width * sizeof(Real);  // the same row twice is counted twice
  b.moves("embedding", sizes, 2 * y.bytes(),
          [&](int i) { b.backend(ops::Embedding<B>{.ids = ids, .table = table, .factor = 16.0, .y = y[i]}); });
  b.moves("embedding, backward", sizes, y.bytes() + gradients, [&](int i) {
    b.backend(ops::EmbeddingBackward<B>{.dy = y[i], .ids = ids, .factor = 16.0, .padding = 0, .dtable = dtable});
  });

  const int masked = shapes.block_tokens * 3 / 20;
  const auto all = b.turns(arrays, shapes.block_tokens, shapes.block_width),
             some = b.turns(arrays, masked, shapes.block_width);
  std::vector<int> places;
  for (int i = 0; i < masked; ++i) places.push_back(i * 20 / 3);
  b.moves("gather", shape({masked, shapes.block_width}), 2 * some.bytes(),
          [&](int i) { b.backend(ops::Gather<B>{.x = all[i], .rows = places, .y = some[i]}); });
  b.moves("scatter, adding", shape({masked, shapes.block_width}), 3 * some.bytes(),
          [&](int i) { b.backend(ops::ScatterAdd<B>{.x = some[i], .rows = places, .y = all[i]}); });
}

template <class B>
void loss(Bench<B>& b, const Shapes& shapes) {
  using Real = typename B::Real;
  Arrays<B> arrays(b.backend);
  const auto logits = b.turns(arrays, shapes.logits, shapes.vocabulary);
  const auto bias = arrays.random(1, shapes.vocabulary);
  const auto losses = arrays.template random<Real>(shapes.logits, 2);
  const auto targets = some_ids(shapes.logits, shapes.vocabulary);
  const auto sizes = shape({shapes.logits, shapes.vocabulary});
  b.moves("cross-entropy", sizes, logits.bytes(), [&](int i) {
    b.backend(ops::CrossEntropy<B>{
        .logits = logits[i], .bias = bias, .targets = targets, .smoothing = 0.1, .losses = losses});
  });
  b.moves("cross-entropy, gradient in place", sizes, 2 * logits.bytes(), [&](int i) {
    b.backend(ops::CrossEntropy<B>{.logits = logits[i],
                                   .bias = bias,
                                   .targets = targets,
                                   .smoothing = 0.1,
                                   .gradient_scale = 1e-4,
                                   .losses = losses});
  });
}

template <class B>
void optimizer(Bench<B>& b, const Shapes& shapes) {
  using Real = typename B::Real;
  Arrays<B> arrays(b.backend);
  const int n = shapes.parameters;
  // What the numbers are does not change the speed, and so many random ones would take long.
  const auto flat = [&](Real value) {
    const auto array = arrays.template uninitialized<Real>(1, n);
    b.backend(ops::FillOf<Real>{.x = array, .value = value});
    return array;
  };
  const auto gradient = flat(0.5f), value = flat(1.0f), first = flat(0.0f), second = flat(0.0f);
  const double bytes = double(n) * sizeof(Real);
  const auto sizes = std::to_string(n) + " parameters";
  const auto memory = b.backend.allocate(sizeof(na::StepOutcome));
  auto* const outcome = static_cast<na::StepOutcome*>(memory.data());
  const auto losses = arrays.template uninitialized<Real>(1, 2);
  b.backend(ops::FillOf<Real>{.x = losses, .value = 1.0f});
  b.backend(ops::SumLosses<B>{.losses = losses, .outcome = outcome});
  b.moves("norm and clipping", sizes, bytes,
          [&](int) { b.backend(ops::Clipping<B>{.gradient = gradient, .limit = 1.0, .outcome = outcome}); });
  b.moves("AdamW", sizes, 7 * bytes, [&](int i) {
    b.backend(ops::Update<B, na::AdamRule>{.rule = {.learning_rate = 1e-9, .weight_decay = 0.01, .step = i + 1},
                                           .gradient = gradient,
                                           .value = value,
                                           .moments = {first, second},
                                           .outcome = outcome});
  });
  b.moves("SGD, momentum", sizes, 5 * bytes, [&](int) {
    b.backend(ops::Update<B, na::SgdMomentumRule>{.rule = {.learning_rate = 1e-9, .momentum = 0.9},
                                                  .gradient = gradient,
                                                  .value = value,
                                                  .moments = {first},
                                                  .outcome = outcome});
  });
  if constexpr (!std::is_same_v<typename B::Scalar, Real>) {
    const auto rounded = arrays.uninitialized(1, n);
    b.moves("parameters, rounded", sizes, 1.5 * bytes,
            [&](int) { b.backend(ops::Convert<B>{.x = value, .y = rounded}); });
  }
}

}  // namespace bench::device
