// Transformer layers with the normalisation after each residual sum (Vaswani et al. 2017), as Marian and RoBERTa have
// them: x₁ = LN(x + drop(Attention(x))), y = LN(x₁ + drop(FFN(x₁))); a decoder attends to the encoder's output between.
#pragma once

#include <vector>

#include "neural_attention/attention/multi_head.hpp"
#include "neural_attention/models/checks.hpp"
#include "neural_attention/nn/dropout.hpp"
#include "neural_attention/nn/feed_forward.hpp"
#include "neural_attention/nn/normalization.hpp"
#include "neural_attention/nn/recompute.hpp"

namespace neural_attention {

struct LayerConfig {
  AttentionConfig attention;
  int d_ff = 0;
  Activation activation = Activation::Silu;
  double dropout = 0.0;
  double activation_dropout = 0.0;
  double norm_eps = 1e-5;
  WeightInitial initial = {};
};

/// y = LN(x + drop(branch)): the end of every half layer.
template <class B>
class ResidualNorm {
 public:
  struct Saved {
    typename Dropout<B>::Saved dropout;
    typename LayerNorm<B>::Saved norm;
  };

  explicit ResidualNorm(const LayerConfig& config)
      : dropout_(config.dropout), norm_(config.attention.d_model, config.norm_eps) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("", self.norm_);
    visitor("dropout", self.dropout_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Rows<B> branch, Saved& saved) const {
    return norm_.forward(pass, dropout_.forward_residual(pass, x, branch, saved.dropout), saved.norm);
  }

  /// The gradient of the sum, which is that of x, in new rows; dbranch receives that of the branch.
  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dbranch) {
    const auto dx = norm_.backward(pass, dy, saved.norm);
    pass.backend.dropout(dx, saved.dropout.mask, dbranch);
    return dx;
  }

 private:
  Dropout<B> dropout_;
  LayerNorm<B> norm_;
};

/// x, y [tokens, d], packed by the Ragged that is its context.
template <class B, class P, class Names = BartNames>
class EncoderLayer {
 public:
  struct Saved {
    typename MultiHeadAttention<B, P, Names>::Saved attention;
    typename ResidualNorm<B>::Saved attention_norm, final_norm;
    typename FeedForward<B, Names>::Saved feed_forward;
  };

  explicit EncoderLayer(const LayerConfig& config)
      : attention_(config.attention),
        attention_norm_(config),
        feed_forward_(config.attention.d_model, config.d_ff, config.activation, config.activation_dropout,
                      config.initial),
        final_norm_(config) {}

  static void visit(auto& self, auto&& visitor) {
    visitor(Names::attention, self.attention_);
    visitor(Names::attention_norm, self.attention_norm_);
    FeedForward<B, Names>::visit(self.feed_forward_, visitor);
    visitor(Names::final_norm, self.final_norm_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const Ragged& offsets) const {
    const auto attended = attention_.forward(pass, x, x, offsets, offsets, false, saved.attention);
    const auto middle = attention_norm_.forward(pass, x, attended, saved.attention_norm);
    return final_norm_.forward(pass, middle, feed_forward_.forward(pass, middle, saved.feed_forward), saved.final_norm);
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx, const Ragged& offsets) {
    const auto mark = pass.scratch.mark();
    const auto branch = pass.scratch.rows(dy.rows, dy.cols);
    const auto dmiddle = final_norm_.backward(pass, dy, saved.final_norm, branch);
    feed_forward_.backward(pass, branch, saved.feed_forward, dmiddle);
    const auto result = attention_norm_.backward(pass, dmiddle, saved.attention_norm, branch);
    attention_.backward(pass, branch, offsets, offsets, false, saved.attention, result, result);
    if (dx) pass.backend.add(result, dx);
    return settle(pass, mark, dx, dx ? dx : result);
  }

 private:
  MultiHeadAttention<B, P, Names> attention_;
  ResidualNorm<B> attention_norm_;
  FeedForward<B, Names> feed_forward_;
  ResidualNorm<B> final_norm_;
};

/// What all decoder layers see: the packing of both sides and the encoder's output [source tokens, d] with its
/// gradient, to which every layer adds.
template <class B>
struct DecoderContext {
  const Ragged& target;
  const Ragged& source;
  Rows<B> memory;
  Rows<B> dmemory;
};

template <class B, class P>
class DecoderLayer {
 public:
  struct Saved {
    typename MultiHeadAttention<B, P>::Saved self_attention, cross_attention;
    typename ResidualNorm<B>::Saved self_norm, cross_norm, final_norm;
    typename FeedForward<B>::Saved feed_forward;
  };

  explicit DecoderLayer(const LayerConfig& config)
      : self_attention_(config.attention),
        self_norm_(config),
        cross_attention_(config.attention),
        cross_norm_(config),
        feed_forward_(config.attention.d_model, config.d_ff, config.activation, config.activation_dropout,
                      config.initial),
        final_norm_(config) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("self_attn", self.self_attention_);
    visitor("self_attn_layer_norm", self.self_norm_);
    visitor("encoder_attn", self.cross_attention_);
    visitor("encoder_attn_layer_norm", self.cross_norm_);
    FeedForward<B>::visit(self.feed_forward_, visitor);
    visitor("final_layer_norm", self.final_norm_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const DecoderContext<B>& on) const {
    const auto own = self_attention_.forward(pass, x, x, on.target, on.target, true, saved.self_attention);
    const auto first = self_norm_.forward(pass, x, own, saved.self_norm);
    const auto other =
        cross_attention_.forward(pass, first, on.memory, on.target, on.source, false, saved.cross_attention);
    const auto second = cross_norm_.forward(pass, first, other, saved.cross_norm);
    return final_norm_.forward(pass, second, feed_forward_.forward(pass, second, saved.feed_forward), saved.final_norm);
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx, const DecoderContext<B>& on) {
    const auto mark = pass.scratch.mark();
    const auto branch = pass.scratch.rows(dy.rows, dy.cols);
    const auto dsecond = final_norm_.backward(pass, dy, saved.final_norm, branch);
    feed_forward_.backward(pass, branch, saved.feed_forward, dsecond);
    const auto dfirst = cross_norm_.backward(pass, dsecond, saved.cross_norm, branch);
    cross_attention_.backward(pass, branch, on.target, on.source, false, saved.cross_attention, dfirst, on.dmemory);
    const auto result = self_norm_.backward(pass, dfirst, saved.self_norm, branch);
    self_attention_.backward(pass, branch, on.target, on.target, true, saved.self_attention, result, result);
    if (dx) pass.backend.add(result, dx);
    return settle(pass, mark, dx, dx ? dx : result);
  }

  const MultiHeadAttention<B, P>& cross_attention() const { return cross_attention_; }

  /// The next token of each live row: x [n, d] holds the newest ones.
  Rows<B> decode(const Pass<B>& pass, Rows<B> x, KeyValueCache<B>& own, const MemoryCache<B>& source) const {
    Saved saved;
    const auto first = self_norm_.forward(pass, x, self_attention_.decode_self(pass, x, own), saved.self_norm);
    const auto second =
        cross_norm_.forward(pass, first, cross_attention_.decode_cross(pass, first, source), saved.cross_norm);
    return final_norm_.forward(pass, second, feed_forward_.forward(pass, second, saved.feed_forward), saved.final_norm);
  }

 private:
  MultiHeadAttention<B, P> self_attention_;
  ResidualNorm<B> self_norm_;
  MultiHeadAttention<B, P> cross_attention_;
  ResidualNorm<B> cross_norm_;
  FeedForward<B> feed_forward_;
  ResidualNorm<B> final_norm_;
};

/// Equal layers in a row. Outside training the activations of a layer are dropped as soon as the next one has its
/// input.
template <class B, class Layer>
class LayerStack {
 public:
  struct Saved {
    std::vector<typename Recompute<B, Layer>::Saved> layers;
    std::vector<Rows<B>> outputs;  ///< of each layer; only the last outside training
  };

  /// Throws ConfigError where there are none or too many.
  LayerStack(int count, const LayerConfig& config, bool recompute) {
    checks::layers("the number of layers", count);
    layers_.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) layers_.emplace_back(Layer(config), recompute);
  }

  static void visit(auto& self, auto&& visitor) { visitor("", self.layers_); }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const auto& context) const {
    saved.layers.resize(layers_.size());
    saved.outputs.resize(layers_.size());
    const auto mark = pass.saved.mark();
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i].forward(pass, x, saved.layers[i], context);
      if (!pass.train) x = pass.saved.rewind_keeping(mark, x);
      saved.outputs[i] = x;
    }
    return x;
  }

  /// dy lies above `mark`, the scratch stack's position before it was made; the result lies at the mark.
  Rows<B> backward(const Pass<B>& pass, typename Arena<B>::Mark mark, Rows<B> dy, const Saved& saved,
                   const auto& context) {
    for (std::size_t i = layers_.size(); i > 0; --i)
      dy = pass.scratch.rewind_keeping(mark, layers_[i - 1].backward(pass, dy, saved.layers[i - 1], {}, context));
    return dy;
  }

  int size() const { return static_cast<int>(layers_.size()); }
  const Layer& operator[](int i) const { return layers_[static_cast<std::size_t>(i)].module(); }

 private:
  std::vector<Recompute<B, Layer>> layers_;
};

}  // namespace neural_attention
