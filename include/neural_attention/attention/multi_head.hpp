// Multi-head attention for self, causal and cross use: out = Out(softmax(Q(x) K(m)ᵀ / √d_head) V(m)), where Q, K, V and
// Out are projectors. x [queries, d], m [keys, d], both packed sequences; in self-attention m is x.
#pragma once

#include <cmath>
#include <span>

#include "neural_attention/attention/cache.hpp"
#include "neural_attention/core/concepts.hpp"
#include "neural_attention/nn/part_names.hpp"
#include "neural_attention/nn/projector_config.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention {

/// The roles are its projectors.
struct AttentionConfig : Roles<ProjectorConfig> {
  int d_model = 0;
  int heads = 1;
  double dropout = 0.0;  ///< of the probabilities
};

/// The projectors as in `roles`, whose matrices begin as `initial` says.
inline AttentionConfig attention_config(int d_model, int heads, double dropout, const Roles<ProjectorConfig>& roles,
                                        WeightInitial initial) {
  AttentionConfig config{roles, d_model, heads, dropout};
  for_each_role([&](const char*, ProjectorConfig& projector) { projector.initial = initial; }, config);
  return config;
}

template <class B, class P, class Names = BartNames>
class MultiHeadAttention {
 public:
  using Query = typename P::template Query<B>;
  using Key = typename P::template Key<B>;
  using Value = typename P::template Value<B>;
  using Output = typename P::template Output<B>;
  static_assert(sizeof(CheckProjector<Query, B>) && sizeof(CheckProjector<Key, B>) &&
                sizeof(CheckProjector<Value, B>) && sizeof(CheckProjector<Output, B>));

  struct Saved {
    typename Query::Saved query;
    typename Key::Saved key;
    typename Value::Saved value;
    typename Output::Saved output;
    Rows<B> q, k, v, context;
    RowsOf<typename B::Real> log_sum_exp;
    DropoutMask mask;
  };

  explicit MultiHeadAttention(const AttentionConfig& config)
      : query_(with_widths(config.query, config)),
        key_(with_widths(config.key, config)),
        value_(with_widths(config.value, config)),
        output_(with_widths(config.output, config)),
        shape_{config.heads, 1.0 / std::sqrt(double(config.d_model) / config.heads), false},
        dropout_(config.dropout) {}

  static void visit(auto& self, auto&& visitor) {
    visitor(Names::key, self.key_);
    visitor(Names::value, self.value_);
    visitor(Names::query, self.query_);
    visitor(Names::output, self.output_);
    visitor(Names::attention_dropout, self.dropout_site_);
  }

  Rows<B> forward(Step<B>& step, Rows<B> x, Rows<B> memory, const Ragged& queries, const Ragged& keys, bool causal,
                  Saved& saved) const {
    saved.q = query_.forward(step, x, saved.query);
    saved.k = key_.forward(step, memory, saved.key);
    saved.v = value_.forward(step, memory, saved.value);
    saved.context = step.saved.rows(x.rows, x.cols);
    saved.log_sum_exp = step.saved.template rows<typename B::Real>(x.rows, shape_.heads);
    saved.mask = step.attention_mask(dropout_, dropout_site_);
    step.backend.attention(saved.q, saved.k, saved.v, queries, keys, shape(causal), saved.mask, saved.context,
                           saved.log_sum_exp);
    return output_.forward(step, saved.context, saved.output);
  }

  /// Adds the gradients to dx and dmemory, which are the same rows in self-attention.
  void backward(Step<B>& step, Rows<B> dy, const Ragged& queries, const Ragged& keys, bool causal, const Saved& saved,
                Rows<B> dx, Rows<B> dmemory) {
    const ArenaScope scope(step.scratch);
    const auto dcontext = output_.backward(step, dy, saved.output);
    const auto dq = step.scratch.rows(saved.q.rows, saved.q.cols);
    const auto dk = step.scratch.rows(saved.k.rows, saved.k.cols);
    const auto dv = step.scratch.rows(saved.v.rows, saved.v.cols);
    step.backend.attention_backward(dcontext, saved.q, saved.k, saved.v, saved.context, saved.log_sum_exp, queries,
                                    keys, shape(causal), saved.mask, dq, dk, dv);
    query_.backward(step, dq, saved.query, dx);
    key_.backward(step, dk, saved.key, dmemory);
    value_.backward(step, dv, saved.value, dmemory);
  }

  /// Keys and values of a whole memory [keys, d], for decoding: written to two rows of the same shape.
  void project_memory(Step<B>& step, Rows<B> memory, Rows<B> k, Rows<B> v) const {
    const ArenaScope scope(step.saved);
    typename Key::Saved key;
    typename Value::Saved value;
    step.backend.copy(key_.forward(step, memory, key), k);
    step.backend.copy(value_.forward(step, memory, value), v);
  }

  /// One decoding step of self-attention: x [n, d] holds the newest token of each live row; its key and value are
  /// appended to the cache.
  Rows<B> decode_self(Step<B>& step, Rows<B> x, KeyValueCache<B>& cache) const {
    Saved saved;
    const auto k = key_.forward(step, x, saved.key);
    const auto v = value_.forward(step, x, saved.value);
    cache.append(step.backend, k, v);
    return decode(step, x, cache.views());
  }

  /// One decoding step of attention to the encoder's output.
  Rows<B> decode_cross(Step<B>& step, Rows<B> x, const MemoryCache<B>& cache) const {
    return decode(step, x, cache.views());
  }

  /// The probabilities of a forward pass over one sequence: row head · queries + i of out [heads · queries, keys] holds
  /// those of query i.
  void probabilities(Step<B>& step, const Saved& saved, bool causal, Rows<B> out) const {
    step.backend.attention_probabilities(saved.q, saved.k, shape(causal), out);
  }

  int heads() const { return shape_.heads; }

 private:
  static ProjectorConfig with_widths(ProjectorConfig projector, const AttentionConfig& config) {
    if (config.d_model <= 0 || config.heads <= 0 || config.d_model % config.heads != 0)
      throw ConfigError("d_model " + std::to_string(config.d_model) + " cannot be split into " +
                        std::to_string(config.heads) + " attention heads");
    projector.d_in = projector.d_out = config.d_model;
    return projector;
  }

  Rows<B> decode(Step<B>& step, Rows<B> x, const KeyValueViews<B>& on) const {
    typename Query::Saved query;
    typename Output::Saved output;
    const auto q = query_.forward(step, x, query);
    const auto context = step.saved.rows(x.rows, x.cols);
    step.backend.attention_step(q, on.keys, on.values, on.lengths, shape(false), context);
    return output_.forward(step, context, output);
  }

  AttentionShape shape(bool causal) const {
    auto shape = shape_;
    shape.causal = causal;
    return shape;
  }

  Query query_;
  Key key_;
  Value value_;
  Output output_;
  AttentionShape shape_;
  double dropout_;
  RandomSite dropout_site_;
};

}  // namespace neural_attention
