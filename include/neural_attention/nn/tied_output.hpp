// The output layer that shares the embedding's matrix: logits = h Eᵀ + bias, h [n, d], E [vocabulary, d], and the
// label-smoothed cross-entropy of the logits. Logits exist for one chunk of rows at a time: product, softmax, loss and
// gradients run chunk by chunk, in place.
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>
#include <utility>

#include "neural_attention/core/loss_sum.hpp"
#include "neural_attention/core/pass.hpp"

namespace neural_attention {

/// The bias of an output layer that has none.
template <class B>
struct NoBias {
  int cols;  ///< of the logits
  Rows<B> value = {};
};

/// The bias has `vocabulary` elements and is a Buffer (Marian's final_logits_bias) or a Parameter (RoBERTa's), or it is
/// NoBias (GPT-2).
template <class B, template <class> class Bias = Buffer>
class TiedOutput {
 public:
  explicit TiedOutput(Bias<B> first) : bias(std::move(first)) {}

  static void visit(auto& self, auto&& visitor) { visitor("", self.bias); }

  /// logits [n, vocabulary], with the bias added.
  void logits(const Pass<B>& pass, const Parameter<B>& embedding, Rows<B> h, Rows<B> logits) const {
    pass.backend(ops::Linear<B>{
        .x = h, .w = embedding.value, .bias = bias.value, .y = logits, .quantized = embedding.quantized});
  }

  /// The loss alone. Waits for it.
  LossSum loss(const Pass<B>& pass, const Parameter<B>& embedding, Rows<B> h, std::span<const int> targets,
               double smoothing) const {
    const ArenaScope scope(pass.scratch);
    StepOutcome* const outcome = pass.scratch.template rows<StepOutcome>(1, 1).data;
    chunked(pass, embedding, h, targets, smoothing, 0.0, {}, Into::Write, outcome);
    pass.backend.start_reading(outcome);
    const auto found = pass.backend.finish_reading();
    return {found.smoothed_loss, found.negative_log_likelihood, h.rows};
  }

  /// Writes the loss to `outcome`, or adds it, as `into` says. Writes gradient_scale · its gradient to dh and adds the
  /// gradient of the embedding.
  void loss_and_gradient(const Pass<B>& pass, Parameter<B>& embedding, Rows<B> h, std::span<const int> targets,
                         double smoothing, double gradient_scale, Rows<B> dh, Into into, StepOutcome* outcome) const {
    chunked(pass, embedding, h, targets, smoothing, gradient_scale, dh, into, outcome);
  }

  Bias<B> bias;

 private:
  static constexpr std::ptrdiff_t chunk_elements = std::ptrdiff_t{1} << 25;
  static constexpr std::ptrdiff_t smallest_chunk = 128;

  void chunked(const Pass<B>& pass, const Parameter<B>& embedding, Rows<B> h, std::span<const int> targets,
               double smoothing, double gradient_scale, Rows<B> dh, Into into, StepOutcome* outcome) const {
    using Real = typename B::Real;
    const ArenaScope scope(pass.scratch);
    const int chunk = static_cast<int>(std::clamp<std::ptrdiff_t>(chunk_elements / bias.cols, smallest_chunk, 1024));
    const auto losses = pass.scratch.template rows<Real>(h.rows, 2);
    const auto all_logits = pass.scratch.aligned_rows(std::min(chunk, h.rows), bias.cols);
    for (int first = 0; first < h.rows; first += chunk) {
      const int rows = std::min(chunk, h.rows - first);
      const auto logits = all_logits.slice(0, rows);
      pass.backend(ops::Linear<B>{
          .x = h.slice(first, rows), .w = embedding.value, .y = logits, .quantized = embedding.quantized});
      pass.backend(ops::CrossEntropy<B>{.logits = logits,
                                        .bias = bias.value,
                                        .targets = targets.subspan(first, rows),
                                        .smoothing = smoothing,
                                        .gradient_scale = gradient_scale,
                                        .losses = losses.slice(first, rows)});
      if (!dh) continue;
      pass.backend(ops::LinearInputGradient<B>{.dy = logits, .w = embedding.value, .dx = dh.slice(first, rows)});
      pass.backend(ops::LinearWeightGradient<B>{.dy = logits, .x = h.slice(first, rows), .dw = embedding.gradient});
      if constexpr (std::is_same_v<Bias<B>, Parameter<B>>)
        pass.backend(ops::BiasGradient<B>{.dy = logits, .db = bias.gradient});
    }
    pass.backend(ops::SumLosses<B>{.losses = losses, .into = into, .outcome = outcome});
  }
};

}  // namespace neural_attention
