// Multi-head attention for self, causal and cross use: out = Out(softmax(Q(x) K(m)ᵀ / √d_head) V(m)), where Q, K, V and
// Out are projectors. x [queries, d], m [keys, d], both packed sequences; in self-attention m is x. Queries and keys
// are d wide, values d_v, and Out maps d_v to d. AttentionOptions normalise queries and keys, change the scores, mix
// values with the values of the stack's first layer, and put a gate in front of Out.
#pragma once

#include <array>
#include <cassert>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "neural_attention/attention/attention_config.hpp"
#include "neural_attention/attention/cache.hpp"
#include "neural_attention/attention/head_norm.hpp"
#include "neural_attention/attention/hidden_widths.hpp"
#include "neural_attention/attention/joint_qkv.hpp"
#include "neural_attention/attention/output_gate.hpp"
#include "neural_attention/attention/query_scale.hpp"
#include "neural_attention/attention/sequence_projector.hpp"
#include "neural_attention/attention/value_residual.hpp"
#include "neural_attention/core/concepts.hpp"
#include "neural_attention/nn/part_names.hpp"

namespace neural_attention {

template <class B, class P, class Names = BartNames>
class MultiHeadAttention {
 public:
  using Query = typename P::template Query<B>;
  using Key = typename P::template Key<B>;
  using Value = typename P::template Value<B>;
  using Output = typename P::template Output<B>;
  using SharedMap = JointMap<B>;
  static_assert(sizeof(CheckProjector<Query, B>) && sizeof(CheckProjector<Key, B>) &&
                sizeof(CheckProjector<Value, B>) && sizeof(CheckProjector<Output, B>));

  /// Whether query, key and value may be parts of a JointQkv.
  static constexpr bool may_join = MayJoin<Query> && MayJoin<Key> && MayJoin<Value>;

  struct Saved {
    std::conditional_t<may_join, typename JointMap<B>::Saved, NoState> joint;
    typename Query::Saved query;
    typename Key::Saved key;
    typename Value::Saved value;
    typename Output::Saved output;
    typename HeadNorm<B>::Saved query_norm, key_norm;
    typename QueryScale<B>::Saved scale;
    typename OutputGate<B>::Saved gate;
    typename ValueResidual<B>::Saved value_residual;
    Rows<B> q, k, v, context;
    RowsOf<typename B::Real> log_sum_exp;
    DropoutMask mask;
  };

  /// The decoding state of the projectors, beside keys and values.
  struct States {
    ProjectorState<Query> query;
    ProjectorState<Key> key;
    ProjectorState<Value> value;
    ProjectorState<Output> output;

    void reorder(B& backend, std::span<const int> parents) {
      for_each_role([&](const char*, auto& state) { state.reorder(backend, parents); }, *this);
    }
  };

  /// Throws ConfigError for a width that the heads do not divide, a projector that cannot stand in its role, and an
  /// option out of its range.
  explicit MultiHeadAttention(const AttentionConfig& config)
      : query_(made<Query>("query", config.query, config)),
        key_(made<Key>("key", config.key, config)),
        value_(made<Value>("value", config.value, config)),
        output_(made<Output>("output", config.output, config)),
        query_norm_(config.options.qk_norm, config.head_width()),
        key_norm_(config.options.qk_norm, config.head_width()),
        scale_(config.options.learned_scales(config.heads), config.options.first_scale(config.head_width())),
        gate_(config),
        value_residual_(config.options, config.gives_values(), config.takes_values()),
        widths_(config.widths()),
        shape_{.heads = config.heads,
               .scale = config.options.fixed_scale(config.head_width()),
               .causal = config.use == AttentionUse::Causal,
               .soft_cap = config.options.soft_cap},
        use_(config.use),
        dropout_(config.dropout) {
    require_ranges(config.options);
    ProjectorConfig shared = config.query;
    shared.d_in = shared.d_out = config.d_model;
    if (join(query_, key_, value_))
      if constexpr (may_join) joint_.emplace(shared);
  }

  static void visit(auto& self, auto&& visitor) {
    if constexpr (may_join)
      if (self.joint_) visitor(Names::joint, *self.joint_);
    visitor(Names::key, self.key_);
    visitor(Names::value, self.value_);
    visitor(Names::query, self.query_);
    visitor(Names::output, self.output_);
    visitor(Names::query_norm, self.query_norm_);
    visitor(Names::key_norm, self.key_norm_);
    visitor(Names::attention_scale, self.scale_);
    visitor(Names::gate, self.gate_);
    visitor(Names::value_residual, self.value_residual_);
    visitor(Names::attention_dropout, self.dropout_site_);
  }

  /// `first` is for self-attention in a stack whose layers share values.
  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Rows<B> memory, const Ragged& queries, const Ragged& keys,
                  Saved& saved, const FirstValues<B>& first = {}) const {
    const auto [of_query, of_key, of_value] = inputs(pass, x, memory, saved);
    saved.q = met_queries(pass, project(query_, pass, of_query, saved.query, queries), saved);
    saved.k = met_keys(pass, project(key_, pass, of_key, saved.key, keys), saved);
    saved.v = met_values(pass, project(value_, pass, of_value, saved.value, keys), first, saved);
    saved.context = pass.saved.rows(x.rows, widths_.values);
    saved.log_sum_exp = pass.saved.template rows<typename B::Real>(x.rows, shape_.heads);
    saved.mask = pass.attention_mask(dropout_, dropout_site_);
    pass.backend(ops::Attention<B>{.q = saved.q,
                                   .k = saved.k,
                                   .v = saved.v,
                                   .queries = queries,
                                   .keys = keys,
                                   .shape = shape_,
                                   .mask = saved.mask,
                                   .out = saved.context,
                                   .log_sum_exp = saved.log_sum_exp});
    return project(output_, pass, gate_.forward(pass, x, saved.context, saved.gate), saved.output, queries);
  }

  /// Adds the gradients to dx and dmemory, which are the same rows in self-attention.
  void backward(const Pass<B>& pass, Rows<B> dy, const Ragged& queries, const Ragged& keys, const Saved& saved,
                Rows<B> dx, Rows<B> dmemory, const FirstValues<B>& first = {}) {
    const ArenaScope scope(pass.scratch);
    const auto dcontext = project_backward(output_, pass, dy, saved.output, {}, queries);
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
                                           .shape = shape_,
                                           .mask = saved.mask,
                                           .dq = dq,
                                           .dk = dk,
                                           .dv = dv});
    scale_.backward(pass, dq, saved.scale);
    query_norm_.backward(pass, dq, saved.query_norm);
    key_norm_.backward(pass, dk, saved.key_norm);
    value_residual_.backward(pass, dv, first, saved.value_residual);
    const auto into = [&](Rows<B> of_query, Rows<B> of_key, Rows<B> of_value) {
      project_backward(query_, pass, dq, saved.query, of_query, queries);
      project_backward(key_, pass, dk, saved.key, of_key, keys);
      project_backward(value_, pass, dv, saved.value, of_value, keys);
    };
    if constexpr (may_join)
      if (joint_) {
        const auto all = pass.scratch.rows(dy.rows, 3 * widths_.keys);
        pass.backend(ops::Fill<B>{.x = all, .value = typename B::Scalar(0)});
        into(third(all, 0), third(all, 1), third(all, 2));
        joint_->backward(pass, all, saved.joint, dx);
        return;
      }
    into(dx, dmemory, dmemory);
  }

  /// Keys and values of a whole memory [keys.total(), d], for decoding: written to rows of those widths.
  void project_memory(const Pass<B>& pass, Rows<B> memory, const Ragged& keys, Rows<B> k, Rows<B> v) const {
    const ArenaScope scope(pass.saved);
    Saved saved;
    pass.backend(ops::Copy<B>{.x = met_keys(pass, project(key_, pass, memory, saved.key, keys), saved), .y = k});
    pass.backend(ops::Copy<B>{.x = project(value_, pass, memory, saved.value, keys), .y = v});
  }

  /// For the projectors whose rows come one after another: in cross-attention query and output, else all.
  States begin_states(B& backend, int rows, int slots) const {
    States states;
    states.query = begin_projecting(query_, backend, rows, slots);
    states.output = begin_projecting(output_, backend, rows, slots);
    if (use_ == AttentionUse::Cross) return states;
    states.key = begin_projecting(key_, backend, rows, slots);
    states.value = begin_projecting(value_, backend, rows, slots);
    return states;
  }

  /// Self-attention of the next tokens: x [runs.total(), d] holds the newest tokens of each live row, run i the
  /// tokens of row i; their keys and values are appended to the cache. Runs that are the first of all rows are computed
  /// as forward computes them; later ones query by query, as if they came one by one.
  Rows<B> decode_self(const Pass<B>& pass, Rows<B> x, KeyValueCache<B>& cache, States& states, const Ragged& runs,
                      const FirstValues<B>& first = {}) const {
    assert(use_ == AttentionUse::Causal);
    const bool all_new = runs.longest() > 1 && cache.empty();
    Saved saved;
    const auto [of_query, of_key, of_value] = inputs(pass, x, x, saved);
    const auto k = met_keys(pass, project_next(key_, pass, of_key, saved.key, states.key, runs), saved);
    const auto v =
        met_values(pass, project_next(value_, pass, of_value, saved.value, states.value, runs), first, saved);
    cache.append(pass.backend, k, v, runs);
    if (!all_new) return decode(pass, x, of_query, cache.views(runs), states, runs);
    const auto q = met_queries(pass, project_next(query_, pass, of_query, saved.query, states.query, runs), saved);
    const auto context = pass.saved.rows(x.rows, widths_.values);
    pass.backend(ops::Attention<B>{.q = q,
                                   .k = k,
                                   .v = v,
                                   .queries = runs,
                                   .keys = runs,
                                   .shape = shape_,
                                   .out = context,
                                   .log_sum_exp = pass.saved.template rows<typename B::Real>(x.rows, shape_.heads)});
    // A token alone sees itself, which decode() finds without rounding. So a row does not depend on the other runs.
    PendingCopies<B> copies;
    for (int i = 0; i < runs.sequences(); ++i)
      if (runs.length(i) == 1) copies.add(v.slice(runs.begin(i), 1), context.slice(runs.begin(i), 1));
    copies.run(pass.backend);
    return next_output(pass, x, context, saved, states, runs);
  }

  /// Attention of the next tokens to the encoder's output.
  Rows<B> decode_cross(const Pass<B>& pass, Rows<B> x, MemoryCache<B>& cache, States& states,
                       const Ragged& runs) const {
    return decode(pass, x, x, cache.views(runs), states, runs);
  }

  /// The probabilities of a forward pass over one sequence: row head · queries + i of out [heads · queries, keys] holds
  /// the probabilities of query i.
  void probabilities(const Pass<B>& pass, const Saved& saved, Rows<B> out) const {
    pass.backend(ops::AttentionProbabilities<B>{.q = saved.q, .k = saved.k, .shape = shape_, .out = out});
  }

  int heads() const { return shape_.heads; }
  KeyValueWidths widths() const { return widths_; }

 private:
  template <class Projector>
  static Projector made(std::string_view role, ProjectorConfig of_role, const AttentionConfig& config) {
    const auto [keys, values] = config.widths();
    of_role.d_in = role == "output" ? values : config.d_model;
    of_role.d_out = role == "output" ? config.d_model : role == "value" ? values : keys;
    const ProjectorPlace place{config.use, role};
    try {
      Projector projector(with_hidden_width<Projector>(std::move(of_role)));
      require_place(projector, place);
      return projector;
    } catch (const ConfigError& error) {
      throw ConfigError(place.text() + ": " + error.what());
    }
  }

  /// The inputs of query, key and value.
  std::array<Rows<B>, 3> inputs(const Pass<B>& pass, Rows<B> x, Rows<B> memory, Saved& saved) const {
    if constexpr (may_join)
      if (joint_) {
        const auto all = joint_->forward(pass, x, saved.joint);
        return {third(all, 0), third(all, 1), third(all, 2)};
      }
    return {x, memory, memory};
  }
  Rows<B> third(Rows<B> all, int i) const { return all.columns(i * widths_.keys, widths_.keys); }

  Rows<B> decode(const Pass<B>& pass, Rows<B> x, Rows<B> of_query, const KeyValueViews<B>& on, States& states,
                 const Ragged& runs) const {
    Saved saved;
    const auto q = met_queries(pass, project_next(query_, pass, of_query, saved.query, states.query, runs), saved);
    const auto context = pass.saved.rows(x.rows, widths_.values);
    pass.backend(ops::AttentionRound<B>{.q = q,
                                        .keys = on.keys,
                                        .values = on.values,
                                        .lengths = on.lengths,
                                        .shape = shape_,
                                        .site = dropout_site_.id,
                                        .out = context});
    return next_output(pass, x, context, saved, states, runs);
  }

  /// The queries that meet the keys.
  Rows<B> met_queries(const Pass<B>& pass, Rows<B> q, Saved& saved) const {
    return scale_.forward(pass, query_norm_.forward(pass, q, saved.query_norm), saved.scale);
  }
  /// The keys that meet the queries and that caches keep.
  Rows<B> met_keys(const Pass<B>& pass, Rows<B> k, Saved& saved) const {
    return key_norm_.forward(pass, k, saved.key_norm);
  }
  /// The values that the probabilities weight and that caches keep.
  Rows<B> met_values(const Pass<B>& pass, Rows<B> v, const FirstValues<B>& first, Saved& saved) const {
    return value_residual_.forward(pass, v, first, saved.value_residual);
  }
  Rows<B> next_output(const Pass<B>& pass, Rows<B> x, Rows<B> context, Saved& saved, States& states,
                      const Ragged& runs) const {
    return project_next(output_, pass, gate_.forward(pass, x, context, saved.gate), saved.output, states.output, runs);
  }

  Query query_;
  Key key_;
  Value value_;
  Output output_;
  HeadNorm<B> query_norm_, key_norm_;
  QueryScale<B> scale_;
  OutputGate<B> gate_;
  ValueResidual<B> value_residual_;
  KeyValueWidths widths_;
  AttentionShape shape_;
  AttentionUse use_;
  double dropout_;
  RandomSite dropout_site_;
  std::conditional_t<may_join, std::optional<JointMap<B>>, NoState> joint_;
};

}  // namespace neural_attention
