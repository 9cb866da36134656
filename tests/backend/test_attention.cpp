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
const DropoutMask mask{.rate = 0.3, .key = {.seed = 77, .step = 2, .site = 4}, .first_row = 10};

template <class T>
struct Case {
  Case(const Lengths& lengths, int width, bool dropping)
      : queries(std::span<const int>(lengths.queries)),
        keys(std::span<const int>(lengths.keys)),
        shape{heads, 1.0 / std::sqrt(width), lengths.causal},
        drops(dropping ? mask : DropoutMask{}),
        q(Matrix<T>::normal(queries.total(), heads * width, 1, 2)),
        k(Matrix<T>::normal(keys.total(), heads * width, 2, 4)),
        v(Matrix<T>::normal(keys.total(), heads * width, 3)),
        dout(Matrix<T>::normal(queries.total(), heads * width, 4, 6)),
        out(queries.total(), heads * width, 3),
        dq(queries.total(), heads * width, 1),
        dk(keys.total(), heads * width, 5),
        dv(keys.total(), heads * width, 7),
        log_sum_exp(queries.total(), heads) {}

  template <class B>
  void run(B& backend) {
    backend.attention(q.view(), k.view(), v.view(), queries, keys, shape, drops, out.view(), log_sum_exp.view());
    backend.attention_backward(dout.view(), q.view(), k.view(), v.view(), out.view(), log_sum_exp.view(), queries, keys,
                               shape, drops, dq.view(), dk.view(), dv.view());
  }

  Ragged queries, keys;
  AttentionShape shape;
  DropoutMask drops;
  Matrix<T> q, k, v, dout, out, dq, dk, dv, log_sum_exp;
};

/// A result in double, and the size of what it is a sum of.
struct Sums {
  explicit Sums(const Matrix<double>& like) : value(like), size(like) {}
  void add(int r, int c, double term, double term_size) {
    value(r, c) += term;
    size(r, c) += term_size;
  }
  Matrix<double> value, size;
};

struct Reference {
  template <class T>
  explicit Reference(const Case<T>& k)
      : out({k.q.rows(), k.q.cols()}),
        dq({k.q.rows(), k.q.cols()}),
        dk({k.k.rows(), k.k.cols()}),
        dv({k.k.rows(), k.k.cols()}),
        log_sum_exp({k.q.rows(), heads}) {
    const int width = k.q.cols() / heads;
    for (int s = 0; s < k.queries.sequences(); ++s)
      for (int head = 0; head < heads; ++head)
        for (int i = 0; i < k.queries.length(s); ++i) one_query(k, s, head, i, width);
  }

  template <class T>
  void one_query(const Case<T>& k, int s, int head, int i, int width) {
    const int row = k.queries.begin(s) + i, seen = k.shape.causal ? i + 1 : k.keys.length(s), first = head * width;
    // A score is off by some roundings of its terms, its exponential by as much, relatively.
    std::vector<double> p, sizes, factors, ds, ds_sizes;
    double top = -INFINITY, sum = 0.0, sum_size = 0.0;
    for (int j = 0; j < seen; ++j) {
      double score = 0.0, size = 1.0;
      for (int c = first; c < first + width; ++c) {
        const double term = k.shape.scale * double(k.q(row, c)) * double(k.k(k.keys.begin(s) + j, c));
        score += term;
        size += std::abs(term);
      }
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
    for (int j = 0; j < seen; ++j) {
      double up = 0.0, up_size = 0.0;
      for (int c = first; c < first + width; ++c) {
        const double value = double(k.v(k.keys.begin(s) + j, c)), gradient = double(k.dout(row, c));
        out.add(row, c, p[j] * factors[j] * value, p[j] * factors[j] * std::abs(value) * sizes[j]);
        dv.add(k.keys.begin(s) + j, c, p[j] * factors[j] * gradient, p[j] * factors[j] * std::abs(gradient) * sizes[j]);
        up += factors[j] * value * gradient;
        up_size += factors[j] * std::abs(value * gradient);
      }
      ds.push_back(up);
      ds_sizes.push_back(up_size);
      inner += p[j] * up;
      inner_size += p[j] * up_size * sizes[j];
    }
    for (int j = 0; j < seen; ++j) {
      const double gradient = k.shape.scale * p[j] * (ds[j] - inner);
      const double size = k.shape.scale * p[j] * (ds_sizes[j] + inner_size) * sizes[j];
      for (int c = first; c < first + width; ++c) {
        const double query = double(k.q(row, c)), key = double(k.k(k.keys.begin(s) + j, c));
        dq.add(row, c, gradient * key, size * std::abs(key));
        dk.add(k.keys.begin(s) + j, c, gradient * query, size * std::abs(query));
      }
    }
  }

  Sums out, dq, dk, dv, log_sum_exp;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(attention)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  constexpr double roundings = 8;
  for (const auto& lengths : all_lengths)
    for (const int width : {4, 19, 64}) {
      if (NEURAL_ATTENTION_SANITIZED && width > 4) continue;  // slow there
      for (const bool dropping : {false, true}) {
        const Case<T> before(lengths, width, dropping);
        const Reference want(before);
        B one(1), two(2), seven(7);
        auto k = before, with_two = before, with_seven = before;
        k.run(one);
        with_two.run(two);
        with_seven.run(seven);
        require_close<T>("out", k.out, roundings, want.out.value, want.out.size);
        require_close<T>("dq", k.dq, roundings, want.dq.value, want.dq.size);
        require_close<T>("dk", k.dk, roundings, want.dk.value, want.dk.size);
        require_close<T>("dv", k.dv, roundings, want.dv.value, want.dv.size);
        for (int r = 0; r < k.log_sum_exp.rows(); ++r)
          for (int head = 0; head < heads; ++head) {
            const double log_sum = want.log_sum_exp.value(r, head), size = want.log_sum_exp.size(r, head);
            if (size == 0.0)
              BOOST_TEST(k.log_sum_exp(r, head) == -std::numeric_limits<T>::infinity());
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
    }
}

BOOST_AUTO_TEST_SUITE_END()
