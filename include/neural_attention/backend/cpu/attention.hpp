// Attention over packed sequences on the CPU: out = softmax(S) v with the scores S = scale · q kᵀ, or a soft cap of
// them; one task is one (sequence, head). Scores exist only as tiles [query_tile, key_tile]; a running maximum and sum
// join the tiles (Milakov & Gimelshein, "Online normalizer calculation for softmax", 2018). The backward pass
// recomputes the probabilities from log_sum_exp.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/backend/cpu/dropout_words.hpp"
#include "neural_attention/backend/cpu/gemm.hpp"

namespace neural_attention {
namespace cpu_attention {

inline constexpr int query_tile = 128;
inline constexpr int key_tile = 128;

template <class T>
using Row = Eigen::Map<Eigen::Array<T, 1, Eigen::Dynamic>>;

/// The columns of a head of the keys and of a head of the values.
struct HeadWidths {
  HeadWidths(int key_columns, int value_columns, int heads) : key(key_columns / heads), value(value_columns / heads) {
    assert(key_columns % heads == 0 && value_columns % heads == 0);
  }
  int key, value;
};

/// The number of keys of a tile that query i sees.
inline int visible(bool causal, int query, int first_key, int keys) {
  return causal ? std::clamp(query + 1 - first_key, 0, keys) : keys;
}

/// Multiplies one row of probabilities (or of their gradients), keys first_key …, by its dropout factors.
template <class T>
void drop(const DropoutMask& mask, int sequence, int heads, int head, int query, int first_key, int keys, T* row) {
  const auto stream = static_cast<std::uint32_t>(mask.first_row + sequence) * static_cast<std::uint32_t>(heads) +
                      static_cast<std::uint32_t>(head);
  const auto block = (static_cast<std::uint32_t>(query) << 16) + static_cast<std::uint32_t>(first_key / 4);
  std::uint32_t words[key_tile];
  static_assert(key_tile % 4 == 0);  // first_key is a multiple of the tile
  keep_words(mask.key, stream, block, (keys + 3) / 4, words);
  const T keep = static_cast<T>(1.0 / (1.0 - mask.rate));
  for (int j = 0; j < keys; ++j) row[j] *= unit_interval(words[j]) >= mask.rate ? keep : T(0);
}

/// The scores of a row of products of queries and keys.
template <class T>
class Scores {
 public:
  explicit Scores(const AttentionShape& shape)
      : cap_(shape.soft_cap > 0.0 ? std::max(static_cast<T>(shape.soft_cap), std::numeric_limits<T>::min()) : T(0)),
        inner_(capped() ? static_cast<T>(std::min(shape.scale / shape.soft_cap, double(std::numeric_limits<T>::max())))
                        : T(0)),
        scale_(static_cast<T>(shape.scale)) {}

  bool capped() const { return cap_ > T(0); }
  /// What the products still have to be multiplied by, once they are through cap().
  T factor() const { return capped() ? T(1) : scale_; }
  T scale() const { return scale_; }

  /// The products become c · tanh(scale · x / c). Nothing happens without a soft cap.
  void cap(T* row, int n) const {
    if (!capped()) return;
    cpu_blocks::store(row, n, [&](auto at) -> cpu_blocks::Block<T> {
      const cpu_blocks::Block<T> x = at(row) * inner_;
      const cpu_blocks::Block<T> capped = cap_ * x.tanh();
      return x.isNaN().select(x, capped);  // Eigen's tanh clamps NaN
    });
  }
  /// Multiplies the gradients of capped scores by 1 - (S / c)².
  void cap_gradient(const T* scores, T* gradient, int n) const {
    cpu_blocks::store(gradient, n, [&](auto at) -> cpu_blocks::Block<T> {
      return at(gradient) * (T(1) - (at(scores) / cap_).square());
    });
  }

 private:
  T cap_, inner_, scale_;
};

/// The part of a product of a tile of queries and a tile of keys that a causal mask leaves.
inline cpu_gemm::Part causal_part(bool causal, int first_query, int first_key, cpu_gemm::Part::Of of) {
  return causal ? cpu_gemm::Part{of, first_query - first_key} : cpu_gemm::Part{};
}

template <class T>
void set_zero(RowsOf<T> x) {
  for (int r = 0; r < x.rows; ++r) std::fill_n(x.row(r), x.cols, T(0));
}

}  // namespace cpu_attention

template <class T>
void compute(CpuEngine<T>& cpu, const ops::AttentionOf<T>& op) {
  const auto q = op.q, k = op.k, v = op.v, out = op.out, log_sum_exp = op.log_sum_exp;
  const auto &queries = op.queries, &keys = op.keys;
  const auto& shape = op.shape;
  using namespace cpu_attention;
  using Of = cpu_gemm::Part::Of;
  assert(q.rows == queries.total() && k.rows == keys.total() && v.rows == k.rows && out.rows == q.rows);
  assert(queries.sequences() == keys.sequences() && q.cols == k.cols && out.cols == v.cols);
  const int heads = shape.heads;
  const HeadWidths widths(q.cols, v.cols, heads);
  const Scores<T> how(shape);
  const T scale = how.factor();
  cpu.run_tiles(queries.sequences() * heads, [&](int task, int worker) {
    const int s = task / heads, head = task % heads;
    T* const tile = cpu.workspaces[worker].reserve(std::size_t{query_tile} * (key_tile + 2));
    T* const maximum = tile + query_tile * key_tile;
    T* const sum = maximum + query_tile;
    const auto k_head = k.slice(keys.begin(s), keys.length(s)).columns(head * widths.key, widths.key);
    const auto v_head = v.slice(keys.begin(s), keys.length(s)).columns(head * widths.value, widths.value);
    for (int q0 = 0; q0 < queries.length(s); q0 += query_tile) {
      const int nq = std::min(query_tile, queries.length(s) - q0);
      const auto q_head = q.slice(queries.begin(s) + q0, nq).columns(head * widths.key, widths.key);
      const auto o_head = out.slice(queries.begin(s) + q0, nq).columns(head * widths.value, widths.value);
      set_zero(o_head);
      std::fill_n(maximum, nq, -std::numeric_limits<T>::infinity());
      std::fill_n(sum, nq, T(0));
      for (int k0 = 0; k0 < keys.length(s) && !(shape.causal && k0 >= q0 + nq); k0 += key_tile) {
        const int nk = std::min(key_tile, keys.length(s) - k0);
        const auto part = [&](Of of) { return causal_part(shape.causal, q0, k0, of); };
        cpu_gemm::gemm<T>(nq, nk, widths.key, {q_head.data, q.stride, false}, {k_head.row(k0), k.stride, true}, {},
                          tile, nk, cpu.precision, cpu.packing[worker], part(Of::Columns));
        for (int i = 0; i < nq; ++i) {
          const int seen = visible(shape.causal, q0 + i, k0, nk);
          T* const row = tile + i * nk;
          std::fill(row + seen, row + nk, T(0));
          if (seen == 0) continue;
          how.cap(row, seen);
          Row<T> scores(row, seen);
          const T top = std::max(maximum[i], scale * scores.maxCoeff());
          const T shrink = std::exp(maximum[i] - top);
          scores = (scale * scores - top).exp();
          sum[i] = sum[i] * shrink + scores.sum();
          if (shrink != T(1)) Row<T>(o_head.row(i), widths.value) *= shrink;
          maximum[i] = top;
          if (op.mask) drop(op.mask, s, heads, head, q0 + i, k0, seen, row);
        }
        cpu_gemm::gemm<T>(nq, widths.value, nk, {tile, nk, false}, {v_head.row(k0), v.stride, false},
                          {o_head.data, out.stride}, o_head.data, out.stride, cpu.precision, cpu.packing[worker],
                          part(Of::FirstTerms));
      }
      for (int i = 0; i < nq; ++i) {
        if (sum[i] > T(0)) Row<T>(o_head.row(i), widths.value) *= T(1) / sum[i];
        log_sum_exp.row(queries.begin(s) + q0 + i)[head] = maximum[i] + std::log(sum[i]);
      }
    }
  });
}

/// With P the probabilities, M the dropout factors and D_i = Σ_c dout_ic out_ic:
/// dv = (P∘M)ᵀ dout,  dS = P ∘ (M ∘ (dout vᵀ) - D),  dq = scale · dS k,  dk = scale · dSᵀ q. With a soft cap,
/// dS is multiplied by 1 - (S / c)² besides.
template <class T>
void compute(CpuEngine<T>& cpu, const ops::AttentionBackwardOf<T>& op) {
  const auto dout = op.dout, q = op.q, k = op.k, v = op.v, out = op.out, log_sum_exp = op.log_sum_exp, dq = op.dq,
             dk = op.dk, dv = op.dv;
  const auto &queries = op.queries, &keys = op.keys;
  const auto& shape = op.shape;
  const auto& mask = op.mask;
  using namespace cpu_attention;
  using cpu_gemm::Operand, cpu_gemm::Addend;
  using Of = cpu_gemm::Part::Of;
  const int heads = shape.heads;
  const HeadWidths widths(q.cols, v.cols, heads);
  const Scores<T> how(shape);
  const T factor = how.factor(), scale = how.scale();
  cpu.run_tiles(queries.sequences() * heads, [&](int task, int worker) {
    const int s = task / heads, head = task % heads;
    T scores[key_tile];  // of a query, capped
    const auto gemm = [&](int m, int n, int k_sum, Operand<T> a, Operand<T> b, Addend<T> addend, T* c,
                          std::ptrdiff_t stride, cpu_gemm::Part part) {
      cpu_gemm::gemm<T>(m, n, k_sum, a, b, addend, c, stride, cpu.precision, cpu.packing[worker], part);
    };
    T* const p = cpu.workspaces[worker].reserve(std::size_t{query_tile} * key_tile * 2);
    T* const ds = p + query_tile * key_tile;
    const auto of_keys = [&](RowsOf<T> m, int width) {
      return m.slice(keys.begin(s), keys.length(s)).columns(head * width, width);
    };
    const auto k_head = of_keys(k, widths.key), dk_head = of_keys(dk, widths.key);
    const auto v_head = of_keys(v, widths.value), dv_head = of_keys(dv, widths.value);
    set_zero(dk_head);
    set_zero(dv_head);
    for (int q0 = 0; q0 < queries.length(s); q0 += query_tile) {
      const int nq = std::min(query_tile, queries.length(s) - q0);
      const auto of_queries = [&](RowsOf<T> m, int width) {
        return m.slice(queries.begin(s) + q0, nq).columns(head * width, width);
      };
      const auto q_head = of_queries(q, widths.key), dq_head = of_queries(dq, widths.key);
      const auto o_head = of_queries(out, widths.value), do_head = of_queries(dout, widths.value);
      set_zero(dq_head);
      for (int k0 = 0; k0 < keys.length(s) && !(shape.causal && k0 >= q0 + nq); k0 += key_tile) {
        const int nk = std::min(key_tile, keys.length(s) - k0);
        const auto part = [&](Of of) { return causal_part(shape.causal, q0, k0, of); };
        const auto scores_of = [&](int width, Operand<T> a, Operand<T> b, T* c) {
          gemm(nq, nk, width, a, b, {}, c, nk, part(Of::Columns));
        };
        scores_of(widths.key, {q_head.data, q.stride, false}, {k_head.row(k0), k.stride, true}, p);
        scores_of(widths.value, {do_head.data, dout.stride, false}, {v_head.row(k0), v.stride, true}, ds);
        for (int i = 0; i < nq; ++i) {
          const int seen = visible(shape.causal, q0 + i, k0, nk);
          Row<T> probability(p + i * nk, seen), gradient(ds + i * nk, seen);
          const T log_sum = log_sum_exp.row(queries.begin(s) + q0 + i)[head];
          const T dot = (Row<T>(do_head.row(i), widths.value) * Row<T>(o_head.row(i), widths.value)).sum();
          if (how.capped()) {
            how.cap(probability.data(), seen);
            std::copy_n(probability.data(), seen, scores);
          }
          probability = (factor * probability - log_sum).exp();
          if (mask) drop(mask, s, heads, head, q0 + i, k0, seen, gradient.data());
          gradient = scale * probability * (gradient - dot);
          if (how.capped()) how.cap_gradient(scores, gradient.data(), seen);
          if (mask) drop(mask, s, heads, head, q0 + i, k0, seen, probability.data());
          std::fill(p + i * nk + seen, p + (i + 1) * nk, T(0));
          std::fill(ds + i * nk + seen, ds + (i + 1) * nk, T(0));
        }
        const auto accumulate = [&](Of of, int m, int k_sum, Operand<T> a, Operand<T> b, RowsOf<T> c) {
          gemm(m, c.cols, k_sum, a, b, {c.data, c.stride}, c.data, c.stride, part(of));
        };
        accumulate(Of::LastTerms, nk, nq, {p, nk, true}, {do_head.data, dout.stride, false}, dv_head.slice(k0, nk));
        accumulate(Of::LastTerms, nk, nq, {ds, nk, true}, {q_head.data, q.stride, false}, dk_head.slice(k0, nk));
        accumulate(Of::FirstTerms, nq, nk, {ds, nk, false}, {k_head.row(k0), k.stride, false}, dq_head);
      }
    }
  });
}

/// Keys and values come from memory, so all heads of a key are read before the next key: its columns lie side by side.
template <class T>
void compute(CpuEngine<T>& cpu, const ops::AttentionRoundOf<T>& op) {
  const auto q = op.q, out = op.out;
  const auto& shape = op.shape;
  using namespace cpu_attention;
  const HeadWidths widths(q.cols, out.cols, shape.heads);
  const Scores<T> how(shape);
  const T scale = how.factor();
  cpu.run_tiles(q.rows, [&](int i, int worker) {
    const int length = op.lengths[i];
    assert(length > 0);
    // Scores [heads, keys]. Each head's begin at a cache line, because Eigen's sums depend on where numbers lie.
    constexpr int line = 64 / sizeof(T);
    const int stride = (length + line - 1) / line * line;
    T* const scores = cpu.workspaces[worker].reserve(static_cast<std::size_t>(shape.heads) * stride);
    const auto scores_of = [&](int head) { return scores + std::ptrdiff_t{head} * stride; };
    const auto of_head = [](RowsOf<T> x, int row, int head, int width) {
      return Row<T>(x.row(row) + head * width, width);
    };
    for (int j = 0; j < length; ++j)
      for (int head = 0; head < shape.heads; ++head)
        scores_of(head)[j] = scale * (of_head(q, i, head, widths.key) * of_head(op.keys[i], j, head, widths.key)).sum();
    for (int head = 0; head < shape.heads; ++head) {
      how.cap(scores_of(head), length);
      Row<T> p(scores_of(head), length);
      p = (p - p.maxCoeff()).exp();
      p *= T(1) / p.sum();
      of_head(out, i, head, widths.value).setZero();
    }
    for (int j = 0; j < length; ++j)
      for (int head = 0; head < shape.heads; ++head)
        of_head(out, i, head, widths.value) += scores_of(head)[j] * of_head(op.values[i], j, head, widths.value);
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::AttentionProbabilitiesOf<T>& op) {
  const auto q = op.q, k = op.k, out = op.out;
  const auto& shape = op.shape;
  using namespace cpu_attention;
  using Block = cpu_blocks::Block<T>;
  assert(q.cols == k.cols && q.cols % shape.heads == 0 && out.rows == shape.heads * q.rows && out.cols == k.rows);
  const int width = q.cols / shape.heads;
  const Scores<T> how(shape);
  const T scale = how.factor();
  cpu.run_tiles(shape.heads, [&](int head, int worker) {
    const auto q_head = q.columns(head * width, width), k_head = k.columns(head * width, width);
    const auto out_head = out.slice(head * q.rows, q.rows);
    cpu_gemm::gemm<T>(q.rows, k.rows, width, {q_head.data, q.stride, false}, {k_head.data, k.stride, true}, {},
                      out_head.data, out.stride, cpu.precision, cpu.packing[worker]);
    for (int i = 0; i < q.rows; ++i) {
      const int seen = visible(shape.causal, i, 0, k.rows);
      std::fill(out_head.row(i) + seen, out_head.row(i) + k.rows, T(0));
      if (seen == 0) continue;
      T* const row = out_head.row(i);
      how.cap(row, seen);
      const T top = Row<T>(row, seen).maxCoeff();
      cpu_blocks::store(row, seen, [&](auto at) -> Block { return (scale * (at(row) - top)).exp(); });
      const T factor = T(1) / cpu_blocks::sum<T>(seen, [&](auto at) -> Block { return at(row); });
      cpu_blocks::store(row, seen, [&](auto at) -> Block { return factor * at(row); });
    }
  });
}

}  // namespace neural_attention
