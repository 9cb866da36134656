// Attention behind the interface of a module, for the gradient checker and the goldens.
#pragma once

#include <vector>

#include "neural_attention/attention/multi_head.hpp"

/// Attention as a module of one input. Cross-attention takes the queries' rows and the memory's below one another.
template <class B, class P, bool cross = false>
class AttentionModule {
 public:
  using Attention = neural_attention::MultiHeadAttention<B, P>;
  using Saved = typename Attention::Saved;

  AttentionModule(const neural_attention::AttentionConfig& config, const std::vector<int>& queries,
                  const std::vector<int>& keys, bool causal)
      : attention_(config.used_for(cross    ? neural_attention::AttentionUse::Cross
                                   : causal ? neural_attention::AttentionUse::Causal
                                            : neural_attention::AttentionUse::Self)),
        queries_(queries),
        keys_(keys) {}

  static void visit(auto& self, auto&& visitor) { visitor("", self.attention_); }

  int rows() const { return queries_.total() + (cross ? keys_.total() : 0); }

  neural_attention::Rows<B> forward(const neural_attention::Pass<B>& pass, neural_attention::Rows<B> x,
                                    Saved& saved) const {
    return attention_.forward(pass, own(x), memory(x), queries_, keys_, saved);
  }

  neural_attention::Rows<B> backward(const neural_attention::Pass<B>& pass, neural_attention::Rows<B> dy,
                                     const Saved& saved, neural_attention::Rows<B> dx = {}) {
    if (!dx) {
      dx = pass.scratch.rows(rows(), dy.cols);
      pass.backend(neural_attention::ops::Fill<B>{.x = dx, .value = typename B::Scalar(0)});
    }
    attention_.backward(pass, dy, queries_, keys_, saved, own(dx), memory(dx));
    return dx;
  }

 private:
  neural_attention::Rows<B> own(neural_attention::Rows<B> x) const { return x.slice(0, queries_.total()); }
  neural_attention::Rows<B> memory(neural_attention::Rows<B> x) const {
    return cross ? x.slice(queries_.total(), keys_.total()) : x;
  }

  Attention attention_;
  neural_attention::Ragged queries_, keys_;
};
