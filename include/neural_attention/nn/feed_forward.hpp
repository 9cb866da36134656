// The feed-forward network of a layer: y = W₂ f(W₁ x + b₁) + b₂, x and y [n, d], inner width d_ff. f is chosen at run
// time, because configs name it.
#pragma once

#include <optional>

#include "neural_attention/nn/dropout.hpp"
#include "neural_attention/nn/linear.hpp"
#include "neural_attention/nn/part_names.hpp"

namespace neural_attention {

template <class B, class Names = BartNames>
class FeedForward {
 public:
  struct Saved {
    typename Linear<B>::Saved first, second;
    typename Dropout<B>::Saved dropout;
    Rows<B> inner;
  };

  /// W₂ begins as `outer_initial` says, or like W₁.
  FeedForward(int width, int inner, Activation f, double activation_dropout, WeightInitial initial,
              std::optional<WeightInitial> outer_initial = {}, bool bias = true)
      : first_(width, inner, initial, bias),
        second_(inner, width, outer_initial.value_or(initial), bias),
        function_(f),
        dropout_rate_(activation_dropout),
        dropout_(activation_dropout) {}

  static void visit(auto& self, auto&& visitor) {
    visitor(Names::inner, self.first_);
    visitor(Names::outer, self.second_);
    visitor(Names::activation_dropout, self.dropout_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    saved.inner = first_.forward(pass, x, saved.first);
    auto hidden = pass.saved.rows(saved.inner.rows, saved.inner.cols);
    pass.backend(ops::Activate<B>{.f = function_, .x = saved.inner, .y = hidden});
    if (dropout_rate_ > 0.0 && pass.train) hidden = dropout_.forward(pass, hidden, saved.dropout);
    return second_.forward(pass, hidden, saved.second);
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const auto mark = pass.scratch.mark();
    const auto dhidden = second_.backward(pass, dy, saved.second);
    if (dropout_rate_ > 0.0 && pass.train)
      pass.backend(ops::Dropout<B>{.x = dhidden, .mask = saved.dropout.mask, .y = dhidden});
    pass.backend(ops::ActivateBackward<B>{.f = function_, .x = saved.inner, .dy = dhidden, .dx = dhidden});
    return settle(pass, mark, dx, first_.backward(pass, dhidden, saved.first, dx));
  }

 private:
  Linear<B> first_;
  Linear<B> second_;
  Activation function_;
  double dropout_rate_;
  Dropout<B> dropout_;
};

}  // namespace neural_attention
