// The head of a masked language model, on the masked rows alone: logits = LN(gelu(W h + b)) Eᵀ + bias, where h [n, d]
// is gathered from the encoder's output and E [vocabulary, d] is the embedding's matrix.
#pragma once

#include <span>

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

  /// The states [n, d] of rows `rows` of `hidden` that the output layer sees.
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

  const Output& output() const { return output_; }

 private:
  Transform transform_;
  Output output_;
};

}  // namespace neural_attention
