// Attention and its gradients on every backend against plain loops in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_attention
#include <boost/test/unit_test.hpp>

#include "backend/backends.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

/// Lengths of packed sequences: more and less than a tile, one, and none.
struct Lengths {
  std::vector<int> queries, keys;
  bool causal;
};
const std::vector<Lengths> all_lengths = {
    {{5, 1, 37, 0, 16}, {5, 1, 37, 0, 16}, false},
    {{5, 1, 37, 0, 16}, {5, 1, 37, 0, 16}, true},
    {{3, 20, 1, 4}, {33, 7, 150, 0}, false},  // the last has nothing to look at
};
constexpr int heads = 3;
/// Columns of a head of the keys, and of a head of the values.
struct HeadWidths {
  HeadWidths(int both) : key(both), value(both) {}
  HeadWidths(int of_key, int of_value) : key(of_key), value(of_value) {}
  int key, value;
};
const DropoutMask mask{.rate = 0.3, .key = {.seed = 77, .step = 2, .site = 4}, .first_row = 10};

template <class T>
struct Case {
  Case(const Lengths& lengths, HeadWidths widths, bool dropping, double soft_cap = 0.0)
      : queries(std::span<const int>(lengths.queries)),
        keys(std::span<const int>(lengths.keys)),
        shape{heads, 1.0 / std::sqrt(widths.key), lengths.causal, soft_cap},
        drops(dropping ? mask : DropoutMask{}),
        q(Matrix<T>::normal(queries.total(), heads * widths.key, 1, gap(widths.key))),
        k(Matrix<T>::normal(keys.total(), heads * widths.key, 2, gap(widths.key))),
        v(Matrix<T>::normal(keys.total(), heads * widths.value, 3)),
        dout(Matrix<T>::normal(queries.total(), heads * widths.value, 4, 2 * gap(widths.value))),
        out(queries.total(), heads * widths.value, gap(widths.value)),
        dq(queries.total(), heads * widths.key, gap(widths.key)),
        dk(keys.total(), heads * widths.key, 3 * gap(widths.key)),
        dv(keys.total(), heads * widths.value, 2 * gap(widths.value)),
        log_sum_exp(queries.total(), heads) {}

  /// Rows of wide heads begin where tensor cores' kernels want them.
  static int gap(int width) { return width % 32 == 0 ? 8 : 3; }

  template <class B>
  void run(B& backend) {
    backend(ops::Attention<B>{.q = q.view(),
                              .k = k.view(),
                              .v = v.view(),
                              .queries = queries,
                              .keys = keys,
                              .shape = shape,
                              .mask = drops,
                              .out = out.view(),
                              .log_sum_exp = log_sum_exp.view()});
    backend(ops::AttentionBackward<B>{.dout = dout.view(),
                                      .q = q.view(),
                                      .k = k.view(),
                                      .v = v.view(),
                                      .out = out.view(),
                                      .log_sum_exp = log_sum_exp.view(),
                                      .queries = queries,
                                      .keys = keys,
                                      .shape = shape,
                                      .mask = drops,
                                      .dq = dq.view(),
                                      .dk = dk.view(),
                                      .dv = dv.view()});
  }

  Ragged queries, keys;
  AttentionShape shape;
  DropoutMask drops;
  Matrix<T> q, k, v, dout, out, dq, dk, dv;
  Matrix<Computed<T>> log_sum_exp;
};

/// A result in double, and the size of what it is a sum of.
struct Sums {
  explicit Sums(const Matrix<double>& like) : value(like), size(like), terms(like) {}
  void add(int r, int c, double term, double term_size) {
    value(r, c) += term;
    size(r, c) += term_size;
    terms(r, c) += std::abs(term);
  }
  Matrix<double> value, size;
  Matrix<double> terms;  ///< the sizes without the roundings of what the terms are made of
};

/// The gradients are those for the `out` that the case holds, which may be rounded.
struct Reference {
  template <class T>
  explicit Reference(const Case<T>& k)
      : out({k.out.rows(), k.out.cols()}),
        dq({k.q.rows(), k.q.cols()}),
        dk({k.k.rows(), k.k.cols()}),
        dv({k.v.rows(), k.v.cols()}),
        log_sum_exp({k.q.rows(), heads}) {
    const HeadWidths widths(k.q.cols() / heads, k.v.cols() / heads);
    for (int s = 0; s < k.queries.sequences(); ++s)
      for (int head = 0; head < heads; ++head)
        for (int i = 0; i < k.queries.length(s); ++i) one_query(k, s, head, i, widths);
  }

  template <class T>
  void one_query(const Case<T>& k, int s, int head, int i, HeadWidths widths) {
    const int row = k.queries.begin(s) + i, seen = k.shape.causal ? i + 1 : k.keys.length(s);
    const int first = head * widths.key, first_value = head * widths.value;
    // A score is off by some roundings of its terms, its exponential by as much, relatively.
    std::vector<double> p, sizes, slopes, slope_sizes, factors, ds, ds_sizes;
    double top = -INFINITY, sum = 0.0, sum_size = 0.0;
    for (int j = 0; j < seen; ++j) {
      double score = 0.0, size = 1.0;
      for (int c = first; c < first + widths.key; ++c) {
        const double term = k.shape.scale * double(k.q(row, c)) * double(k.k(k.keys.begin(s) + j, c));
        score += term;
        size += std::abs(term);
      }
      double slope = 1.0, slope_size = 0.0;
      if (const double cap = k.shape.soft_cap; cap > 0.0) {
        score = cap * std::tanh(score / cap);
        slope = 1.0 - score / cap * (score / cap);
        size = slope * size + 2 * std::abs(score) + 1.0;  // tanh is off by a rounding or two
        slope_size = 1.0 + 2 * size / cap;                // 1 - t² by twice the error of t
      }
      slopes.push_back(slope);
      slope_sizes.push_back(slope_size);
      p.push_back(score);
      sizes.push_back(size);
      top = std::max(top, score);
    }
    for (int j = 0; j < seen; ++j) {
      p[j] = std::exp(p[j] - top);
      sum += p[j];
      sum_size += p[j] * sizes[j];
    }
    log_sum_exp.add(row, head, top + std::log(sum), seen > 0 ? 1.0 + std::abs(top) + sum_size / sum : 0.0);
    for (int j = 0; j < seen; ++j) {
      p[j] /= sum;
      sizes[j] += sum_size / sum;
      const auto word =
          k.drops.key.words(static_cast<std::uint32_t>((k.drops.first_row + s) * heads + head),
                            (static_cast<std::uint32_t>(i) << 16) + static_cast<std::uint32_t>(j / 4))[j % 4];
      factors.push_back(!k.drops ? 1.0 : unit_interval(word) >= k.drops.rate ? 1.0 / (1.0 - k.drops.rate) : 0.0);
    }
    double inner = 0.0, inner_size = 0.0;
    for (int c = first_value; c < first_value + widths.value; ++c)
      inner += double(k.dout(row, c)) * double(k.out(row, c));
    for (int j = 0; j < seen; ++j) {
      double up = 0.0, up_size = 0.0;
      for (int c = first_value; c < first_value + widths.value; ++c) {
        const double value = double(k.v(k.keys.begin(s) + j, c)), gradient = double(k.dout(row, c));
        out.add(row, c, p[j] * factors[j] * value, p[j] * factors[j] * std::abs(value) * sizes[j]);
        dv.add(k.keys.begin(s) + j, c, p[j] * factors[j] * gradient, p[j] * factors[j] * std::abs(gradient) * sizes[j]);
        up += factors[j] * value * gradient;
        up_size += factors[j] * std::abs(value * gradient);
      }
      ds.push_back(up);
      ds_sizes.push_back(up_size);
      inner_size += p[j] * up_size * sizes[j];
    }
    for (int j = 0; j < seen; ++j) {
      const double gradient = k.shape.scale * slopes[j] * p[j] * (ds[j] - inner);
      const double size = k.shape.scale * p[j] * (ds_sizes[j] + inner_size) * (slopes[j] * sizes[j] + slope_sizes[j]);
      for (int c = first; c < first + widths.key; ++c) {
        const double query = double(k.q(row, c)), key = double(k.k(k.keys.begin(s) + j, c));
        dq.add(row, c, gradient * key, size * std::abs(key));
        dk.add(k.keys.begin(s) + j, c, gradient * query, size * std::abs(query));
      }
    }
  }

  Sums out, dq, dk, dv, log_sum_exp;
};

/// By how much the probabilities, and the gradients of scores, are rounded: tensor cores, which take heads of 32
/// columns up to `widest`, as many of values as of keys, multiply numbers of eight bits.
template <class T>
double rounded_scores(HeadWidths widths, int widest) {
  const int width = widths.key;
  return (width == 32 || width == 64 || width == 128) && width <= widest && widths.value == width ? storing<T> : 0.0;
}

/// Compares the results of a case with the formula, and its bits with those of other numbers of threads.
template <class B>
void check_formula(const Lengths& lengths, HeadWidths widths, bool dropping, double soft_cap) {
  using T = typename B::Scalar;
  constexpr double roundings = 8;
  const Case<T> before(lengths, widths, dropping, soft_cap);
  B one(1), two(2), seven(7);
  auto k = before, with_two = before, with_seven = before;
  k.run(one);
  const Reference want(k);
  with_two.run(two);
  with_seven.run(seven);
  const auto require = [&](const char* name, const Matrix<T>& got, const Sums& sums, int widest) {
    const double rounded = rounded_scores<T>(widths, widest) / (roundings * machine_epsilon<T>);
    require_close<T>(name, got, roundings, sums.value,
                     [&](int r, int c) { return sums.size(r, c) + rounded * sums.terms(r, c); });
  };
  require("out", k.out, want.out, 128);
  require("dq", k.dq, want.dq, 64);
  require("dk", k.dk, want.dk, 64);
  require("dv", k.dv, want.dv, 64);
  for (int r = 0; r < k.log_sum_exp.rows(); ++r)
    for (int head = 0; head < heads; ++head) {
      const double log_sum = want.log_sum_exp.value(r, head), size = want.log_sum_exp.size(r, head);
      if (size == 0.0)
        BOOST_TEST(k.log_sum_exp(r, head) == -std::numeric_limits<typename B::Real>::infinity());
      else
        BOOST_TEST(close(k.log_sum_exp(r, head), log_sum, size, roundings));
    }
  for (auto* other : {&with_two, &with_seven}) {
    require_same_bits("out", k.out, other->out);
    require_same_bits("dq", k.dq, other->dq);
    require_same_bits("dk", k.dk, other->dk);
    require_same_bits("dv", k.dv, other->dv);
    require_same_bits("log_sum_exp", k.log_sum_exp, other->log_sum_exp);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(attention)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  for (const auto& lengths : all_lengths)
    for (const int width : {4, 19, 32, 64, 128}) {
      const bool tensor_cores = rounded_scores<T>(width, 128) > 0.0;
      if (NEURAL_ATTENTION_SANITIZED && width > (tensor_cores ? 32 : 4)) continue;  // slow there
      if (width == 32 && !tensor_cores) continue;
      if (width == 64 && tensor_cores && !lengths.causal) continue;
      if (width == 128 && !(tensor_cores && lengths.causal)) continue;
      for (const auto& [dropping, soft_cap] : {std::pair{false, 0.0}, {true, 0.0}, {true, 1.5}, {false, 1.5}}) {
        if (dropping ? width == 128 : soft_cap > 0.0 && width < 128) continue;
        if (soft_cap > 0.0 && !lengths.causal && width != 19) continue;
        check_formula<B>(lengths, width, dropping, soft_cap);
      }
    }
}

// Of the CPU's tiles, the queries see some whole and of others a triangle.
BOOST_AUTO_TEST_CASE(equals_the_formula_where_causal_sequences_have_several_tiles) {
  const Lengths lengths{{150, 131, 300}, {150, 131, 300}, true};
  for (const bool dropping : {false, true}) {
    check_formula<Cpu<double>>(lengths, 19, dropping, 0.0);
    check_formula<Cpu<float>>(lengths, {32, 8}, dropping, dropping ? 1.5 : 0.0);
  }
}

// Narrower and wider than those of the keys, within a tile of columns and beyond it; also where the keys alone would
// suit tensor cores.
BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula_with_values_of_another_width, B, Backends) {
  for (const auto& lengths : all_lengths)
    for (const auto& [key, value] : {std::pair{4, 3}, {19, 5}, {3, 41}, {64, 43}}) {
      if (NEURAL_ATTENTION_SANITIZED && key + value > 24) continue;  // slow there
      if (key + value > 64 && !lengths.causal) continue;
      check_formula<B>(lengths, {key, value}, key == 19, key == 3 || key == 19 ? 1.5 : 0.0);
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(attention_round)

// One query a sequence: what attention says of it. Caches have room for more rows than they hold.
BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  constexpr double roundings = 8;
  const Lengths lengths{{1, 1, 1, 1, 1, 1}, {1, 5, 16, 37, 150, 2}, false};
  for (const auto& [widths, soft_cap] : {std::pair{HeadWidths(4), 0.0},
                                         {19, 0.0},
                                         {64, 0.0},
                                         {200, 0.0},
                                         {19, 1.5},
                                         {64, 0.7},
                                         {{8, 4}, 0.0},
                                         {{64, 32}, 0.0},
                                         {{12, 40}, 1.5},
                                         {{64, 43}, 0.0}}) {
    if (NEURAL_ATTENTION_SANITIZED && widths.key + widths.value > 38) continue;  // slow there
    const Case<T> before(lengths, widths, false, soft_cap);
    const Reference want(before);
    const auto compute = [&](B& backend) {
      auto k = before;
      std::vector<RowsOf<T>> keys, values;
      for (int s = 0; s < k.keys.sequences(); ++s) {
        const int first = k.keys.begin(s), room = k.keys.total() - first;
        keys.push_back(k.k.view().slice(first, room));
        values.push_back(k.v.view().slice(first, room));
      }
      backend(ops::AttentionRound<B>{.q = k.q.view(),
                                     .keys = keys,
                                     .values = values,
                                     .lengths = lengths.keys,
                                     .shape = k.shape,
                                     .out = k.out.view()});
      return k.out;
    };
    require_same_with_any_threads<B>("attention_round", compute);
    B backend(1);
    require_close<T>("attention_round", compute(backend), roundings, want.out.value, want.out.size);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nan_shows, B, Backends) {
  using T = typename B::Scalar;
  constexpr int rows = 20;
  B backend(1);
  for (int place = 0; place < 2 * rows; ++place) {
    const double soft_cap = place < rows ? 0.0 : 30.0;
    auto q = Matrix<T>::normal(1, 8, 1), k = Matrix<T>::normal(rows, 8, 2), v = Matrix<T>::normal(rows, 8, 3);
    k(place % rows, 5) = std::numeric_limits<T>::quiet_NaN();
    Matrix<T> out(1, 8);
    const std::vector<RowsOf<T>> keys = {k.view()}, values = {v.view()};
    backend(ops::AttentionRound<B>{.q = q.view(),
                                   .keys = keys,
                                   .values = values,
                                   .lengths = std::vector<int>{rows},
                                   .shape = {2, 0.5, false, soft_cap},
                                   .out = out.view()});
    BOOST_TEST(std::isfinite(double(out(0, 0))));
    BOOST_TEST(std::isnan(double(out(0, 4))));
  }
}

// Products that leave the range of T come to the cap, and so do all with a cap that is 0 in T.
BOOST_AUTO_TEST_CASE_TEMPLATE(soft_cap_keeps_any_score_finite, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  for (const double soft_cap : {1e-300, 1e-39, 1e-30, 30.0}) {
    Matrix<T> q(1, 1), k(2, 1), v(2, 1), out(1, 1);
    q(0, 0) = k(0, 0) = static_cast<T>(std::sqrt(double(std::numeric_limits<T>::max())) * 8);
    k(1, 0) = T(0);
    v(0, 0) = T(1);
    v(1, 0) = T(0);
    const std::vector<RowsOf<T>> keys = {k.view()}, values = {v.view()};
    backend(ops::AttentionRound<B>{.q = q.view(),
                                   .keys = keys,
                                   .values = values,
                                   .lengths = std::vector<int>{2},
                                   .shape = {1, 0.5, false, soft_cap},
                                   .out = out.view()});
    BOOST_TEST(double(out(0, 0)) == 1.0 / (1.0 + std::exp(-soft_cap)), boost::test_tools::tolerance(0.01));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(attention_probabilities)

// A score sums `width` products of size 1 and the softmax a few roundings more.
BOOST_AUTO_TEST_CASE_TEMPLATE(equal_the_formula, B, Backends) {
  using T = typename B::Scalar;
  constexpr double roundings = 16;
  for (const bool causal : {false, true})
    for (const auto& size : {Shape{1, 1}, {5, 3}, {3, 40}, {70, 150}})
      for (const auto& kind : {std::pair{1, 0.0}, {3, 0.0}, {3, 0.4}}) {
        const int all_heads = kind.first, width = 8, queries = size.rows, keys = size.cols;
        const double soft_cap = kind.second;
        auto q = Matrix<T>::normal(queries, all_heads * width, 1, 3),
             k = Matrix<T>::normal(keys, all_heads * width, 2, 5);
        const AttentionShape shape{all_heads, 0.3, causal, soft_cap};
        const auto compute = [&](B& backend) {
          Matrix<T> out(all_heads * queries, keys, 2);
          backend(ops::AttentionProbabilities<B>{.q = q.view(), .k = k.view(), .shape = shape, .out = out.view()});
          return out;
        };
        require_same_with_any_threads<B>("attention_probabilities", compute);
        B backend(1);
        const auto got = compute(backend);
        Matrix<double> want(all_heads * queries, keys);
        for (int head = 0; head < all_heads; ++head)
          for (int i = 0; i < queries; ++i) {
            double sum = 0.0;
            for (int j = 0; j < keys && !(causal && j > i); ++j) {
              double score = 0.0;
              for (int c = head * width; c < (head + 1) * width; ++c) score += double(q(i, c)) * double(k(j, c));
              score *= shape.scale;
              if (soft_cap > 0.0) score = soft_cap * std::tanh(score / soft_cap);
              sum += want(head * queries + i, j) = std::exp(score);
            }
            long double total = 0.0;  // so that only the backend rounds
            for (int j = 0; j < keys; ++j) {
              want(head * queries + i, j) /= sum;
              total += double(got(head * queries + i, j));
            }
            BOOST_TEST(std::abs(total - 1.0L) <= 4 * machine_epsilon<T> + storing<T>);
          }
        require_close<T>("probabilities", got, roundings, want, [&](int r, int c) { return width * want(r, c); });
      }
}

BOOST_AUTO_TEST_SUITE_END()
