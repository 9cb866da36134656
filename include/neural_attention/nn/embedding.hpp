// Embedding: y_i = factor · E[id_i], E [vocabulary, d], y [n, d].
#pragma once

#include <span>

#include "neural_attention/core/pass.hpp"
#include "neural_attention/core/projector_config.hpp"

namespace neural_attention {

/// The row of `padding` (or -1) starts at zero and gets no gradient from here, like PyTorch's padding_idx; it still
/// gets the gradient that a tied output layer adds to `weight`.
template <class B>
class Embedding {
 public:
  Embedding(int vocabulary, int width, int padding, Initial initial)
      : weight(vocabulary, width, initial.with_row(padding, 0.0)), padding_(padding) {
    weight.quantizable = true;
  }

  static void visit(auto& self, auto&& visitor) { visitor("weight", self.weight); }

  /// ids must be in 0 … vocabulary-1: checked when a batch enters the model, not here. Writes y or adds to it.
  void forward(const Pass<B>& pass, std::span<const int> ids, double factor, Into into, Rows<B> y) const {
    pass.backend(ops::Embedding<B>{
        .ids = ids, .table = weight.value, .factor = factor, .into = into, .y = y, .quantized = weight.quantized});
  }

  void backward(const Pass<B>& pass, Rows<B> dy, std::span<const int> ids, double factor) {
    pass.backend(ops::EmbeddingBackward<B>{
        .dy = dy, .ids = ids, .factor = factor, .padding = padding_, .dtable = weight.gradient});
  }

  Parameter<B> weight;

 private:
  int padding_;
};

}  // namespace neural_attention
