// The feed-forward network of a layer: y = W₂ f(W₁ x + b₁) + b₂, x and y [n, d], inner width d_ff. f is chosen at run
// time, because configs name it. Backward computes f again: kept, its values would be the largest of a layer.
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
    typename Linear<B>::Saved first;
    Rows<B> inner;
  };

  /// W₂ begins as `outer_initial` says, or like W₁.
  FeedForward(int width, int inner, Activation f, double activation_dropout, WeightInitial initial,
              std::optional<WeightInitial> outer_initial = {}, bool bias = true)
      : first_(width, inner, initial, bias),
        second_(inner, width, outer_initial.value_or(initial), bias),
        function_(f),
        dropout_(activation_dropout) {}

  static void visit(auto& self, auto&& visitor) {
    visitor(Names::inner, self.first_);
    visitor(Names::outer, self.second_);
    visitor(Names::activation_dropout, self.dropout_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    saved.inner = first_.forward(pass, x, saved.first);
    const ArenaScope scope(pass.scratch);
    typename Linear<B>::Saved second;
    typename Dropout<B>::Saved dropout;
    return second_.forward(pass, activated(pass, saved.inner, dropout), second);
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    const auto mark = pass.scratch.mark();
    typename Dropout<B>::Saved dropout;
    const auto dhidden = second_.backward(pass, dy, {activated(pass, saved.inner, dropout), {}});
    if (dropout.mask) pass.backend(ops::Dropout<B>{.x = dhidden, .mask = dropout.mask, .y = dhidden});
    pass.backend(ops::ActivateBackward<B>{.f = function_, .x = saved.inner, .dy = dhidden, .dx = dhidden});
    return settle(pass, mark, dx, first_.backward(pass, dhidden, saved.first, dx));
  }

 private:
  /// The input of the second map, on the scratch stack.
  Rows<B> activated(const Pass<B>& pass, Rows<B> inner, typename Dropout<B>::Saved& dropout) const {
    const auto hidden = pass.scratch.rows(inner.rows, inner.cols);
    pass.backend(ops::Activate<B>{.f = function_, .x = inner, .y = hidden});
    return dropout_.forward_in_place(pass, hidden, dropout);
  }

  Linear<B> first_;
  Linear<B> second_;
  Activation function_;
  Dropout<B> dropout_;
};

}  // namespace neural_attention
