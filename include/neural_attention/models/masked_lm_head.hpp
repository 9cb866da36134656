// The head of a masked language model, on the masked rows alone: logits = LN(gelu(W h + b)) Eᵀ + bias, where h [n, d]
// is gathered from the encoder's output and E [vocabulary, d] is the embedding's matrix.
#pragma once

#include <iterator>
#include <span>

#include "neural_attention/core/masked_batch.hpp"
#include "neural_attention/models/checks.hpp"
#include "neural_attention/nn/embedding.hpp"
#include "neural_attention/nn/sequential.hpp"
#include "neural_attention/nn/tied_output.hpp"

namespace neural_attention {

template <class B>
class MaskedLmHead {
 public:
  using Transform = Sequential<B, Linear<B>, Gelu<B>, LayerNorm<B>>;
  using Output = TiedOutput<B, Parameter>;

  struct Saved {
    typename Transform::Saved transform;
  };

  MaskedLmHead(int width, int vocabulary, double norm_eps, WeightInitial initial)
      : transform_(Linear<B>(width, width, initial), Gelu<B>(), LayerNorm<B>(width, norm_eps)),
        output_(Parameter<B>(vocabulary, Initial::constant(0.0))) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("dense", self.transform_.template get<0>());
    visitor("layer_norm", self.transform_.template get<2>());
    visitor("bias", self.output_);
  }

  /// The states [n, d] of the rows `rows` of `hidden`, which rise, the input of the output layer.
  Rows<B> forward(const Pass<B>& pass, Rows<B> hidden, std::span<const int> rows, Saved& saved) const {
    const auto gathered = pass.saved.rows(static_cast<int>(rows.size()), hidden.cols);
    pass.backend(ops::Gather<B>{.x = hidden, .rows = rows, .y = gathered});
    return transform_.forward(pass, gathered, saved.transform);
  }

  /// Adds the gradient to those rows of dhidden.
  void backward(const Pass<B>& pass, Rows<B> dstates, std::span<const int> rows, const Saved& saved, Rows<B> dhidden) {
    const ArenaScope scope(pass.scratch);
    pass.backend(
        ops::ScatterAdd<B>{.x = transform_.backward(pass, dstates, saved.transform), .rows = rows, .y = dhidden});
  }

  /// Throws ShapeError if labels are not in the vocabulary or not one for each masked row, and if masked rows are not
  /// rows of the batch or do not rise.
  void check(const MaskedBatch& batch) const {
    checks::ids("masked", batch.labels, output_.bias.cols);
    checks::one_each("label", std::ssize(batch.labels), "masked token", std::ssize(batch.masked_rows));
    checks::masked_rows(batch.masked_rows, batch.tokens.total());
  }

  /// logits [n, vocabulary] of states [n, d].
  void logits(const Pass<B>& pass, const Embedding<B>& words, Rows<B> states, Rows<B> logits) const {
    output_.logits(pass, words.weight, states, logits);
  }

  /// As TiedLmHead's: the masked rows count, the other ones get no gradient.
  LossSum loss(const Pass<B>& pass, const Embedding<B>& words, Rows<B> hidden, const MaskedBatch& batch,
               double smoothing, Saved& saved) const {
    const auto states = forward(pass, hidden, batch.masked_rows, saved);
    return output_.loss(pass, words.weight, states, batch.labels, smoothing);
  }
  void loss_and_gradient(const Pass<B>& pass, Embedding<B>& words, Rows<B> hidden, const MaskedBatch& batch,
                         double smoothing, double gradient_scale, Rows<B> dhidden, Into into, StepOutcome* outcome,
                         Saved& saved) {
    const auto states = forward(pass, hidden, batch.masked_rows, saved);
    const ArenaScope scope(pass.scratch);
    pass.backend(ops::Fill<B>{.x = dhidden, .value = typename B::Scalar(0)});
    const auto dstates = pass.scratch.rows(states.rows, states.cols);
    output_.loss_and_gradient(pass, words.weight, states, batch.labels, smoothing, gradient_scale, dstates, into,
                              outcome);
    backward(pass, dstates, batch.masked_rows, saved, dhidden);
  }

 private:
  Transform transform_;
  Output output_;
};

}  // namespace neural_attention
