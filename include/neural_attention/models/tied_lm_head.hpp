// The head of a language model whose matrix is the embedding's: each row of the hidden states predicts its label.
// A head has
//   check(batch)            throws ShapeError if labels do not fit
//   loss(pass, words, hidden, batch, smoothing, saved), without gradients: waits for the sums
//   loss_and_gradient(pass, words, hidden, batch, smoothing, gradient_scale, dhidden, into, outcome, saved): writes
//     dhidden, gradient_scale · the gradient of hidden, adds to the gradients of parameters, and puts the sums into
//     `outcome`
// where `words` is the body's embedding and `batch` brings labels.
#pragma once

#include <iterator>
#include <utility>

#include "neural_attention/models/checks.hpp"
#include "neural_attention/nn/embedding.hpp"
#include "neural_attention/nn/tied_output.hpp"

namespace neural_attention {

/// The bias, of `vocabulary` elements, is a Buffer, a Parameter, or NoBias.
template <class B, template <class> class Bias = Buffer>
class TiedLmHead {
 public:
  struct Saved {};

  explicit TiedLmHead(Bias<B> bias) : output_(std::move(bias)) {}

  static void visit(auto& self, auto&& visitor) { visitor("", self.output_); }

  void check(const auto& batch) const { checks::ids("target", batch.labels, output_.bias.cols); }

  /// logits [n, vocabulary] of hidden states [n, d].
  void logits(const Pass<B>& pass, const Embedding<B>& words, Rows<B> hidden, Rows<B> logits) const {
    output_.logits(pass, words.weight, hidden, logits);
  }

  LossSum loss(const Pass<B>& pass, const Embedding<B>& words, Rows<B> hidden, const auto& batch, double smoothing,
               Saved&) const {
    require_labels(hidden, batch);
    return output_.loss(pass, words.weight, hidden, batch.labels, smoothing);
  }
  void loss_and_gradient(const Pass<B>& pass, Embedding<B>& words, Rows<B> hidden, const auto& batch, double smoothing,
                         double gradient_scale, Rows<B> dhidden, Into into, StepOutcome* outcome, Saved&) {
    require_labels(hidden, batch);
    output_.loss_and_gradient(pass, words.weight, hidden, batch.labels, smoothing, gradient_scale, dhidden, into,
                              outcome);
  }

 private:
  static void require_labels(Rows<B> hidden, const auto& batch) {
    checks::one_each("label", std::ssize(batch.labels), "token", hidden.rows);
  }

  TiedOutput<B, Bias> output_;
};

}  // namespace neural_attention
