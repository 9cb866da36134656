// Attention over packed sequences: softmax(S) v per head, where a head is a block of columns. The scores are
// S = scale · q kᵀ or, with a soft cap c, c · tanh(scale · q kᵀ / c). Values may be narrower or wider than keys:
// q [queries.total(), d], k [keys.total(), d]; v [keys.total(), d_v], out [queries.total(), d_v], where heads divide d
// and d_v; log_sum_exp [queries.total(), heads].
#pragma once

#include <cstdint>
#include <span>

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::ops {

namespace detail {

/// Pairs of a query and a key that it sees, over all sequences.
inline double seen_pairs(const Ragged& queries, const Ragged& keys, bool causal) {
  double sum = 0.0;
  for (int s = 0; s < queries.sequences(); ++s) {
    const double n = queries.length(s), m = keys.length(s);
    if (!causal)
      sum += n * m;
    else
      sum += n <= m ? n * (n + 1) / 2 : m * (m + 1) / 2 + (n - m) * m;
  }
  return sum;
}

}  // namespace detail

/// out = softmax(S) v, with `mask` dropping probabilities. Probabilities are never stored: the backward pass
/// recomputes them tile by tile from log_sum_exp, the log Σ exp of each query's scores.
template <class T>
struct AttentionOf {
  static constexpr std::string_view name = "attention";
  RowsOf<T> q;
  RowsOf<T> k;
  RowsOf<T> v;
  const Ragged& queries;
  const Ragged& keys;
  AttentionShape shape;
  DropoutMask mask = {};
  RowsOf<T> out;
  RowsOf<RealOf<T>> log_sum_exp;

  static void visit(auto& self, auto&& operand) {
    operand("q", Access::Read, self.q);
    operand("k", Access::Read, self.k);
    operand("v", Access::Read, self.v);
    operand("out", Access::Write, self.out);
    operand("log_sum_exp", Access::Write, self.log_sum_exp);
  }
  double flop() const { return 2.0 * detail::seen_pairs(queries, keys, shape.causal) * (double(q.cols) + v.cols); }
};
template <class B>
using Attention = AttentionOf<typename B::Scalar>;

/// With P the probabilities, M the dropout factors and D_i = Σ_c dout_ic out_ic:
/// dv = (P∘M)ᵀ dout,  dS = P ∘ (M ∘ (dout vᵀ) - D),  dq = scale · dS k,  dk = scale · dSᵀ q. Writes all three.
/// With a soft cap, dS is multiplied by 1 - (S / c)² besides.
template <class T>
struct AttentionBackwardOf {
  static constexpr std::string_view name = "attention_backward";
  RowsOf<T> dout;
  RowsOf<T> q;
  RowsOf<T> k;
  RowsOf<T> v;
  RowsOf<T> out;
  RowsOf<RealOf<T>> log_sum_exp;
  const Ragged& queries;
  const Ragged& keys;
  AttentionShape shape;
  DropoutMask mask = {};
  RowsOf<T> dq;
  RowsOf<T> dk;
  RowsOf<T> dv;

  static void visit(auto& self, auto&& operand) {
    operand("dout", Access::Read, self.dout);
    operand("q", Access::Read, self.q);
    operand("k", Access::Read, self.k);
    operand("v", Access::Read, self.v);
    operand("out", Access::Read, self.out);
    operand("log_sum_exp", Access::Read, self.log_sum_exp);
    operand("dq", Access::Write, self.dq);
    operand("dk", Access::Write, self.dk);
    operand("dv", Access::Write, self.dv);
  }
  /// Of four products, and of a fifth that recomputes the scores.
  double flop() const { return 2.0 * detail::seen_pairs(queries, keys, shape.causal) * (3.0 * q.cols + 2.0 * v.cols); }
};
template <class B>
using AttentionBackward = AttentionBackwardOf<typename B::Scalar>;

/// Attention of one query per sequence, for decoding: q [n, d], out [n, d_v]; sequence i attends to the first
/// lengths[i] rows, at least one, of keys[i] [capacity, d] and values[i] [capacity, d_v]. The spans lie on the host.
template <class T>
struct AttentionRoundOf {
  static constexpr std::string_view name = "attention_round";
  RowsOf<T> q;
  std::span<const RowsOf<T>> keys;
  std::span<const RowsOf<T>> values;
  std::span<const int> lengths;
  AttentionShape shape;
  std::uint32_t site = 0;  ///< the RandomSite of the attention, by which observers know it; nothing is drawn
  RowsOf<T> out;

  static void visit(auto& self, auto&& operand) {
    operand("q", Access::Read, self.q);
    operand("keys", Access::Read, self.keys);
    operand("values", Access::Read, self.values);
    operand("lengths", Access::Read, self.lengths);
    operand("out", Access::Write, self.out);
  }
  double bytes() const {
    return detail::operand_bytes(q) + detail::operand_bytes(out) + seen() * (double(q.cols) + out.cols) * sizeof(T);
  }
  double flop() const { return 2.0 * seen() * (double(q.cols) + out.cols); }

 private:
  double seen() const {
    double sum = 0.0;
    for (const int length : lengths) sum += length;
    return sum;
  }
};
template <class B>
using AttentionRound = AttentionRoundOf<typename B::Scalar>;

/// The attention probabilities within one sequence, for display: q [n, d], k [m, d]. Row head · n + i of out [heads ·
/// n, m] holds the probabilities of query i; keys that it does not see have 0.
template <class T>
struct AttentionProbabilitiesOf {
  static constexpr std::string_view name = "attention_probabilities";
  RowsOf<T> q;
  RowsOf<T> k;
  AttentionShape shape;
  RowsOf<T> out;

  static void visit(auto& self, auto&& operand) {
    operand("q", Access::Read, self.q);
    operand("k", Access::Read, self.k);
    operand("out", Access::Write, self.out);
  }
  double flop() const { return 2.0 * static_cast<double>(q.size()) * k.rows; }
};
template <class B>
using AttentionProbabilities = AttentionProbabilitiesOf<typename B::Scalar>;

template <class T>
using AttentionOperations =
    OperationList<AttentionOf<T>, AttentionBackwardOf<T>, AttentionRoundOf<T>, AttentionProbabilitiesOf<T>>;

}  // namespace neural_attention::ops
