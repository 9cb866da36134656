// Multi-head attention for self, causal and cross use: out = Out(softmax(Q(x) K(m)ᵀ / √d_head) V(m)), where Q, K, V and
// Out are projectors. x [queries, d], m [keys, d], both packed sequences; in self-attention m is x. AttentionOptions
// normalise queries and keys, change the scores, and put a gate in front of Out.
#pragma once

#include <span>

#include "neural_attention/attention/attention_options.hpp"
#include "neural_attention/attention/cache.hpp"
#include "neural_attention/attention/head_norm.hpp"
#include "neural_attention/attention/hidden_widths.hpp"
#include "neural_attention/attention/output_gate.hpp"
#include "neural_attention/attention/query_scale.hpp"
#include "neural_attention/core/concepts.hpp"
#include "neural_attention/core/projector_config.hpp"
#include "neural_attention/nn/part_names.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention {

/// The roles are its projectors.
struct AttentionConfig : Roles<ProjectorConfig> {
  int d_model = 0;
  int heads = 1;
  double dropout = 0.0;  ///< of the probabilities
  AttentionOptions options = {};
};

/// The projectors of `roles`, with matrices that begin as `initial` says.
inline AttentionConfig attention_config(int d_model, int heads, double dropout, const Roles<ProjectorConfig>& roles,
                                        WeightInitial initial, const AttentionOptions& options = {}) {
  AttentionConfig config{roles, d_model, heads, dropout, options};
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
    typename HeadNorm<B>::Saved query_norm, key_norm;
    typename QueryScale<B>::Saved scale;
    typename OutputGate<B>::Saved gate;
    Rows<B> q, k, v, context;
    RowsOf<typename B::Real> log_sum_exp;
    DropoutMask mask;
  };

  /// Throws ConfigError where the heads cannot divide the width, or an option is out of its range.
  explicit MultiHeadAttention(const AttentionConfig& config)
      : query_(with_widths<Query>(config.query, config)),
        key_(with_widths<Key>(config.key, config)),
        value_(with_widths<Value>(config.value, config)),
        output_(with_widths<Output>(config.output, config)),
        query_norm_(config.options.qk_norm, head_width(config)),
        key_norm_(config.options.qk_norm, head_width(config)),
        scale_(config.options.learned_scales(config.heads), config.options.first_scale(head_width(config))),
        gate_(config.options.gate, config.d_model, config.heads, config.output.initial),
        width_(config.d_model),
        shape_{config.heads, config.options.fixed_scale(head_width(config)), false, config.options.soft_cap},
        dropout_(config.dropout) {
    require_ranges(config.options);
  }

  static void visit(auto& self, auto&& visitor) {
    visitor(Names::key, self.key_);
    visitor(Names::value, self.value_);
    visitor(Names::query, self.query_);
    visitor(Names::output, self.output_);
    visitor(Names::query_norm, self.query_norm_);
    visitor(Names::key_norm, self.key_norm_);
    visitor(Names::attention_scale, self.scale_);
    visitor(Names::gate, self.gate_);
    visitor(Names::attention_dropout, self.dropout_site_);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Rows<B> memory, const Ragged& queries, const Ragged& keys,
                  bool causal, Saved& saved) const {
    saved.q = query_rows(pass, x, saved);
    saved.k = key_rows(pass, memory, saved);
    saved.v = value_.forward(pass, memory, saved.value);
    saved.context = pass.saved.rows(x.rows, x.cols);
    saved.log_sum_exp = pass.saved.template rows<typename B::Real>(x.rows, shape_.heads);
    saved.mask = pass.attention_mask(dropout_, dropout_site_);
    pass.backend(ops::Attention<B>{.q = saved.q,
                                   .k = saved.k,
                                   .v = saved.v,
                                   .queries = queries,
                                   .keys = keys,
                                   .shape = shape(causal),
                                   .mask = saved.mask,
                                   .out = saved.context,
                                   .log_sum_exp = saved.log_sum_exp});
    return output_rows(pass, x, saved.context, saved);
  }

  /// Adds the gradients to dx and dmemory, which are the same rows in self-attention.
  void backward(const Pass<B>& pass, Rows<B> dy, const Ragged& queries, const Ragged& keys, bool causal,
                const Saved& saved, Rows<B> dx, Rows<B> dmemory) {
    const ArenaScope scope(pass.scratch);
    const auto dcontext = output_.backward(pass, dy, saved.output);
    gate_.backward(pass, dcontext, saved.gate, dx);
    const auto dq = pass.scratch.rows(saved.q.rows, saved.q.cols);
    const auto dk = pass.scratch.rows(saved.k.rows, saved.k.cols);
    const auto dv = pass.scratch.rows(saved.v.rows, saved.v.cols);
    pass.backend(ops::AttentionBackward<B>{.dout = dcontext,
                                           .q = saved.q,
                                           .k = saved.k,
                                           .v = saved.v,
                                           .out = saved.context,
                                           .log_sum_exp = saved.log_sum_exp,
                                           .queries = queries,
                                           .keys = keys,
                                           .shape = shape(causal),
                                           .mask = saved.mask,
                                           .dq = dq,
                                           .dk = dk,
                                           .dv = dv});
    scale_.backward(pass, dq, saved.scale);
    query_norm_.backward(pass, dq, saved.query_norm);
    key_norm_.backward(pass, dk, saved.key_norm);
    query_.backward(pass, dq, saved.query, dx);
    key_.backward(pass, dk, saved.key, dmemory);
    value_.backward(pass, dv, saved.value, dmemory);
  }

  /// Keys and values of a whole memory [keys, d], for decoding: written to two rows of the same shape.
  void project_memory(const Pass<B>& pass, Rows<B> memory, Rows<B> k, Rows<B> v) const {
    const ArenaScope scope(pass.saved);
    Saved saved;
    pass.backend(ops::Copy<B>{.x = key_rows(pass, memory, saved), .y = k});
    pass.backend(ops::Copy<B>{.x = value_.forward(pass, memory, saved.value), .y = v});
  }

  /// Self-attention of the next tokens: x [runs.total(), d] holds the newest tokens of each live row, run i those of
  /// row i; their keys and values are appended to the cache. Runs that are the first of all rows are computed as
  /// forward computes them; later ones query by query, as if they came one by one.
  Rows<B> decode_self(const Pass<B>& pass, Rows<B> x, KeyValueCache<B>& cache, const Ragged& runs) const {
    const bool first = runs.longest() > 1 && cache.empty();
    Saved saved;
    const auto k = key_rows(pass, x, saved);
    const auto v = value_.forward(pass, x, saved.value);
    cache.append(pass.backend, k, v, runs);
    if (!first) return decode(pass, x, cache.views(runs));
    const auto q = query_rows(pass, x, saved);
    const auto context = pass.saved.rows(x.rows, x.cols);
    pass.backend(ops::Attention<B>{.q = q,
                                   .k = k,
                                   .v = v,
                                   .queries = runs,
                                   .keys = runs,
                                   .shape = shape(true),
                                   .out = context,
                                   .log_sum_exp = pass.saved.template rows<typename B::Real>(x.rows, shape_.heads)});
    // A token alone sees itself, which decode() finds without rounding. So a row does not depend on the other runs.
    PendingCopies<B> copies;
    for (int i = 0; i < runs.sequences(); ++i)
      if (runs.length(i) == 1) copies.add(v.slice(runs.begin(i), 1), context.slice(runs.begin(i), 1));
    copies.run(pass.backend);
    return output_rows(pass, x, context, saved);
  }

  /// Attention of the next tokens to the encoder's output.
  Rows<B> decode_cross(const Pass<B>& pass, Rows<B> x, MemoryCache<B>& cache, const Ragged& runs) const {
    return decode(pass, x, cache.views(runs));
  }

  /// The probabilities of a forward pass over one sequence: row head · queries + i of out [heads · queries, keys] holds
  /// the probabilities of query i.
  void probabilities(const Pass<B>& pass, const Saved& saved, bool causal, Rows<B> out) const {
    pass.backend(ops::AttentionProbabilities<B>{.q = saved.q, .k = saved.k, .shape = shape(causal), .out = out});
  }

  int heads() const { return shape_.heads; }
  int width() const { return width_; }

 private:
  static int head_width(const AttentionConfig& config) { return config.d_model / config.heads; }

  template <class Projector>
  static ProjectorConfig with_widths(ProjectorConfig projector, const AttentionConfig& config) {
    if (config.d_model <= 0 || config.heads <= 0 || config.d_model % config.heads != 0)
      throw ConfigError("d_model " + std::to_string(config.d_model) + " cannot be split into " +
                        std::to_string(config.heads) + " attention heads");
    projector.d_in = projector.d_out = config.d_model;
    return with_hidden_width<Projector>(std::move(projector));
  }

  Rows<B> decode(const Pass<B>& pass, Rows<B> x, const KeyValueViews<B>& on) const {
    Saved saved;
    const auto q = query_rows(pass, x, saved);
    const auto context = pass.saved.rows(x.rows, x.cols);
    pass.backend(ops::AttentionStep<B>{.q = q,
                                       .keys = on.keys,
                                       .values = on.values,
                                       .lengths = on.lengths,
                                       .shape = shape(false),
                                       .site = dropout_site_.id,
                                       .out = context});
    return output_rows(pass, x, context, saved);
  }

  /// What meets the keys.
  Rows<B> query_rows(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    const auto q = query_norm_.forward(pass, query_.forward(pass, x, saved.query), saved.query_norm);
    return scale_.forward(pass, q, saved.scale);
  }
  /// What meets the queries, and what caches keep.
  Rows<B> key_rows(const Pass<B>& pass, Rows<B> memory, Saved& saved) const {
    return key_norm_.forward(pass, key_.forward(pass, memory, saved.key), saved.key_norm);
  }
  Rows<B> output_rows(const Pass<B>& pass, Rows<B> x, Rows<B> context, Saved& saved) const {
    return output_.forward(pass, gate_.forward(pass, x, context, saved.gate), saved.output);
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
  HeadNorm<B> query_norm_, key_norm_;
  QueryScale<B> scale_;
  OutputGate<B> gate_;
  int width_;
  AttentionShape shape_;
  double dropout_;
  RandomSite dropout_site_;
};

}  // namespace neural_attention
