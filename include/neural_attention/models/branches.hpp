// The branches of a transformer layer's sublayers, x and y [n, d]: attention to the sequence itself, attention to an
// encoder's output, and the feed-forward network. All have one interface:
//   forward(pass, x, saved, context), backward(pass, dy, saved, dx, context), which adds to dx,
//   begin_decoding(pass, start), which makes a Cache, and decode(pass, x, cache, runs) for the next tokens of each live
//   row: x [runs.total(), d], run i being the tokens of row i.
// `context` says how x is packed: a Ragged, or a DecoderContext. In a LayerStack it is a StackContext, which converts
// to these, and so are the `runs` of decode.
#pragma once

#include <span>

#include "neural_attention/models/sublayer.hpp"
#include "neural_attention/nn/feed_forward.hpp"

namespace neural_attention {

/// The input of all layers of a decoder: the packing of both sides, and the encoder's output [source tokens, d] with
/// its gradient, to which every layer adds.
template <class B>
struct DecoderContext {
  const Ragged& target;
  const Ragged& source;
  Rows<B> memory;
  Rows<B> dmemory;
};

/// The start of decoding: `rows` live rows, which may become `slots`, at most `limit` tokens in each, and the encoder's
/// output [source tokens, d], whose sequence i row i attends to.
template <class B>
struct DecodingStart {
  int rows;
  int slots;
  int limit;
  const Ragged& source;
  Rows<B> memory;
};

/// The context of the layers of a stack: the context of the whole stack, and what its layers share.
template <class B, class Context>
struct StackContext {
  const Context& whole;
  FirstValues<B> first;
  SharedNorms<B> norms = {};

  operator const Context&() const { return whole; }  // NOLINT(google-explicit-constructor)
};

inline const Ragged& own_sequences(const Ragged& sequences) { return sequences; }
template <class B>
const Ragged& own_sequences(const DecoderContext<B>& context) {
  return context.target;
}
template <class B, class Context>
const Ragged& own_sequences(const StackContext<B, Context>& context) {
  return own_sequences(context.whole);
}

/// The values that layers share; a layer alone shares none.
template <class B, class Context>
FirstValues<B> first_values(const Context&) {
  return {};
}
template <class B, class Context>
FirstValues<B> first_values(const StackContext<B, Context>& context) {
  return context.first;
}

template <class B, class Context>
SharedNorms<B> shared_norms(const StackContext<B, Context>& context) {
  return context.norms;
}

/// The decoding state of an attention: its keys and values, and the state of its projectors.
template <class B, class KeysAndValues, class States>
struct AttentionCache {
  KeysAndValues rows;
  States projectors;

  void reorder(B& backend, std::span<const int> parents) {
    rows.reorder(backend, parents);
    projectors.reorder(backend, parents);
  }
};

/// Attention to the sequence itself: to all its tokens (Self), or to those up to the query's own (Causal).
template <class B, class P, class Names, AttentionUse use_in_layer>
class SelfAttention : public MultiHeadAttention<B, P, Names> {
  using Attention = MultiHeadAttention<B, P, Names>;

 public:
  static constexpr AttentionUse use = use_in_layer;
  static_assert(use != AttentionUse::Cross, "CrossAttention attends to another sequence");
  static constexpr const char* name = Names::attention;
  static constexpr const char* post_norm = Names::attention_post_norm;
  static constexpr const char* pre_norm = Names::attention_pre_norm;

  using Saved = typename Attention::Saved;
  using Cache = AttentionCache<B, KeyValueCache<B>, typename Attention::States>;

  explicit SelfAttention(const LayerConfig& config) : Attention(config.attention.used_for(use)) {}

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const auto& context) const {
    const Ragged& own = own_sequences(context);
    return Attention::forward(pass, x, x, own, own, saved, first_values<B>(context));
  }
  void backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx, const auto& context) {
    const Ragged& own = own_sequences(context);
    Attention::backward(pass, dy, own, own, saved, dx, dx, first_values<B>(context));
  }

  Cache begin_decoding(const Pass<B>& pass, const DecodingStart<B>& start) const {
    static_assert(use == AttentionUse::Causal, "only causal attention decodes token by token");
    return {{pass.backend, start.rows, start.slots, start.limit, this->widths()},
            this->begin_states(pass.backend, start.rows, start.slots)};
  }
  Rows<B> decode(const Pass<B>& pass, Rows<B> x, Cache& cache, const auto& runs) const {
    return this->decode_self(pass, x, cache.rows, cache.projectors, own_sequences(runs), first_values<B>(runs));
  }
};

/// Attention to the encoder's output.
template <class B, class P, class Names>
class CrossAttention : public MultiHeadAttention<B, P, Names> {
  using Attention = MultiHeadAttention<B, P, Names>;

 public:
  static constexpr AttentionUse use = AttentionUse::Cross;
  static constexpr const char* name = Names::cross_attention;
  static constexpr const char* post_norm = Names::cross_attention_norm;
  static constexpr const char* pre_norm = Names::cross_attention_norm;

  using Saved = typename Attention::Saved;
  using Cache = AttentionCache<B, MemoryCache<B>, typename Attention::States>;

  explicit CrossAttention(const LayerConfig& config)
      : Attention(config.cross_attention.value_or(config.attention).used_for(use)) {}

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const DecoderContext<B>& on) const {
    return Attention::forward(pass, x, on.memory, on.target, on.source, saved);
  }
  void backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx, const DecoderContext<B>& on) {
    Attention::backward(pass, dy, on.target, on.source, saved, dx, on.dmemory);
  }

  /// Projects the encoder's output once.
  Cache begin_decoding(const Pass<B>& pass, const DecodingStart<B>& start) const {
    Cache cache{{pass.backend, start.source, this->widths()},
                this->begin_states(pass.backend, start.rows, start.slots)};
    const auto& memory = cache.rows.memory();
    this->project_memory(pass, start.memory, start.source, memory.keys(), memory.values());
    return cache;
  }
  Rows<B> decode(const Pass<B>& pass, Rows<B> x, Cache& cache, const Ragged& runs) const {
    return this->decode_cross(pass, x, cache.rows, cache.projectors, runs);
  }
};

/// The empty cache of a branch that looks at one token alone.
template <class B>
struct NoCache {
  void reorder(B&, std::span<const int>) {}
};

template <class B, class Names>
class FeedForwardBranch : public FeedForward<B, Names> {
  using Network = FeedForward<B, Names>;

 public:
  static constexpr const char* name = "";  // its matrices are named beside the attention
  static constexpr const char* post_norm = Names::final_post_norm;
  static constexpr const char* pre_norm = Names::final_pre_norm;

  using Saved = typename Network::Saved;
  using Cache = NoCache<B>;

  explicit FeedForwardBranch(const LayerConfig& config)
      : Network(config.attention.d_model, config.d_ff, config.activation, config.activation_dropout, config.initial,
                config.outer_initial, config.bias) {}

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const auto&) const {
    return Network::forward(pass, x, saved);
  }
  void backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx, const auto&) {
    Network::backward(pass, dy, saved, dx);
  }

  Cache begin_decoding(const Pass<B>&, const DecodingStart<B>&) const { return {}; }
  Rows<B> decode(const Pass<B>& pass, Rows<B> x, Cache&, const Ragged&) const {
    Saved saved;
    return Network::forward(pass, x, saved);
  }
};

}  // namespace neural_attention
