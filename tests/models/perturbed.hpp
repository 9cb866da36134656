// A bound for single precision: Cpu<double> that adds to every operation's result a random error of the size that
// float's rounding may have. The sizes follow from the operands: with u = 2^-24 and partial sums that Cauchy-Schwarz
// bounds by ‖a‖‖b‖, the k roundings of Σ aᵢbᵢ add like a random walk to u √k ‖a‖‖b‖. The model itself carries these
// errors to its results, so no condition number has to be guessed.
//
// With Precision::BFloat16 the operands of all products have besides errors of the size that rounding to bfloat16
// makes, 2^15 times as large; nothing else changes, as in Cpu<float>.
#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/random.hpp"

/// Single-threaded; `seed` picks the errors.
class Perturbed : public neural_attention::Cpu<double> {
  using Base = neural_attention::Cpu<double>;
  using Ragged = neural_attention::Ragged;
  using AttentionShape = neural_attention::AttentionShape;
  using DropoutMask = neural_attention::DropoutMask;
  using Activation = neural_attention::Activation;
  using Precision = neural_attention::Precision;

 public:
  explicit Perturbed(int seed, Precision precision = Precision::Float32)
      : Base(1),
        bfloat16_(precision == Precision::BFloat16),
        seed_(static_cast<std::uint32_t>(seed)),
        random_({static_cast<std::uint64_t>(seed), 0, 0}) {}

  /// Numbers that enter are rounded once.
  void upload(std::span<const double> values, Matrix x) {
    Base::upload(values, x);
    perturb(x, [&](int r, int c) { return std::abs(x.row(r)[c]); });
  }
  void add(Matrix x, Matrix y) {
    Base::add(x, y);
    perturb(y, [&](int r, int c) { return std::abs(y.row(r)[c]); });
  }
  void residual_dropout(Matrix residual, Matrix x, const DropoutMask& mask, Matrix y) {
    Base::residual_dropout(residual, x, mask, y);
    perturb(y, [&](int r, int c) { return std::abs(y.row(r)[c]); });
  }

  void scatter_add(Matrix x, std::span<const int> rows, Matrix y) {
    Base::scatter_add(x, rows, y);
    for (const int r : rows) perturb(y.slice(r, 1), [&](int, int c) { return std::abs(y.row(r)[c]); });
  }

  void linear(Matrix x, Matrix w, Matrix bias, Activation f, Matrix y) {
    Base::linear(Operand(*this, x), Operand(*this, w), bias, f, y);
    const auto a = row_norms(x), b = row_norms(w);
    const double walk = std::sqrt(x.cols + 1.0);  // the bias is one more term
    perturb(y, [&](int r, int c) {                // a fused ReLU passes errors on or drops them
      if (f == Activation::Relu && y.row(r)[c] == 0.0) return 0.0;
      return walk * std::hypot(a[r] * b[c], bias ? bias.data[c] : 0.0);
    });
  }
  void linear_input_gradient(Matrix dy, Matrix w, bool accumulate, Matrix dx) {
    Base::linear_input_gradient(Operand(*this, dy), Operand(*this, w), accumulate, dx);
    const auto a = row_norms(dy), b = column_norms(w);
    perturb(dx, [&](int r, int c) { return std::sqrt(double(dy.cols)) * a[r] * b[c] + std::abs(dx.row(r)[c]); });
  }
  void linear_weight_gradient(Matrix dy, Matrix x, Matrix dw) {
    Base::linear_weight_gradient(Operand(*this, dy), Operand(*this, x), dw);
    const auto a = column_norms(dy), b = column_norms(x);
    perturb(dw, [&](int r, int c) { return std::sqrt(double(dy.rows)) * a[r] * b[c] + std::abs(dw.row(r)[c]); });
  }
  void bias_gradient(Matrix dy, Matrix db) {
    Base::bias_gradient(dy, db);
    const auto a = column_norms(dy);  // the other operand is a column of ones
    perturb(db, [&](int r, int c) { return double(dy.rows) * a[c] + std::abs(db.row(r)[c]); });
  }

  // x - mean is off by the roundings of a sum of n terms, divided by n, and of one subtraction: (1/√n · √n + 2) ‖x‖∞;
  // the variance is a sum of n terms as well, and the root halves its relative error.
  void layer_norm(Matrix x, Matrix gain, Matrix bias, double epsilon, bool relu, Matrix y, Matrix stats) {
    const auto largest = row_maxima(x);
    Base::layer_norm(x, gain, bias, epsilon, relu, y, stats);
    const double walk = std::sqrt(double(x.cols)) / 2 + 3;
    perturb(y, [&](int r, int c) {
      const double value = y.row(r)[c], b = std::abs(bias.data[c]);
      if (relu && value == 0.0) return 0.0;
      return 3 * largest[r] * stats.row(r)[1] * std::abs(gain.data[c]) + walk * (std::abs(value) + b);
    });
  }
  // The two means are sums of n products: with g = dy · gain each is at most ‖g‖/√n and off by u ‖g‖.
  void layer_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, Matrix stats, bool relu, bool accumulate,
                           Matrix dx, Matrix dgain, Matrix dbias) {
    const auto up = column_norms(dy), largest = row_maxima(x);
    std::vector<double> g(static_cast<std::size_t>(dy.rows)), normal(static_cast<std::size_t>(x.cols));
    const auto normalized = [&](int r, int c) { return (x.row(r)[c] - stats.row(r)[0]) * stats.row(r)[1]; };
    const auto off = [&](int r) { return 3 * largest[r] * stats.row(r)[1] + std::sqrt(double(x.cols)) / 2 + 3; };
    for (int r = 0; r < dy.rows; ++r)
      for (int c = 0; c < dy.cols; ++c) {
        g[r] = std::hypot(g[r], dy.row(r)[c] * gain.data[c]);
        normal[c] = std::hypot(normal[c], std::abs(normalized(r, c)) + off(r));
      }
    Base::layer_norm_backward(dy, x, y, gain, stats, relu, accumulate, dx, dgain, dbias);
    perturb(dx, [&](int r, int c) {
      return stats.row(r)[1] * g[r] * (3 + off(r)) * (1 + std::abs(normalized(r, c))) + std::abs(dx.row(r)[c]);
    });
    const double walk = std::sqrt(double(dy.rows));
    perturb(dgain, [&](int, int c) { return walk * up[c] * normal[c] + std::abs(dgain.data[c]); });
    perturb(dbias, [&](int, int c) { return walk * walk * up[c] + std::abs(dbias.data[c]); });
  }

  // exp, the sum with 1, the division and the products: four roundings. GELU's erf is off by 7u (4e-7) at all sizes,
  // which is halved and multiplied by x.
  void activation(Activation f, Matrix x, Matrix y) {
    std::vector<double> size;
    for (int r = 0; r < x.rows; ++r)
      for (int c = 0; c < x.cols; ++c) size.push_back(f == Activation::Gelu ? 4 * std::abs(x.row(r)[c]) : 0.0);
    Base::activation(f, x, y);
    perturb(y,
            [&](int r, int c) { return size[static_cast<std::size_t>(r * y.cols + c)] + 4 * std::abs(y.row(r)[c]); });
  }
  void activation_backward(Activation f, Matrix x, Matrix dy, Matrix dx) {
    std::vector<double> size;
    for (int r = 0; r < x.rows; ++r)
      for (int c = 0; c < x.cols; ++c) {
        const bool passed = f != Activation::Relu || x.row(r)[c] > 0.0;
        size.push_back(passed ? 4 * std::abs(dy.row(r)[c]) * (1 + std::abs(x.row(r)[c])) : 0.0);
      }
    Base::activation_backward(f, x, dy, dx);
    perturb(dx, [&](int r, int c) { return size[static_cast<std::size_t>(r * x.cols + c)]; });
  }

  void embedding(std::span<const int> ids, Matrix table, double factor, bool accumulate, Matrix y) {
    Base::embedding(ids, table, factor, accumulate, y);
    perturb(y, [&](int r, int c) { return 2 * std::abs(factor * table.row(ids[r])[c]) + std::abs(y.row(r)[c]); });
  }
  void embedding_backward(Matrix dy, std::span<const int> ids, double factor, int padding, Matrix dtable) {
    Base::embedding_backward(dy, ids, factor, padding, dtable);
    const auto norms = column_norms(dy);
    for (const int id : ids) {
      if (id == padding) continue;
      const auto row = dtable.slice(id, 1);
      perturb(row, [&](int, int c) { return std::sqrt(double(dy.rows)) * factor * norms[c] + std::abs(row.data[c]); });
    }
  }

  // A score is off by scale √w ‖q‖‖k‖ (w columns a head), which is the relative error of its probability together with
  // the mean of those errors and √n for the normalizer. Every result is a sum of products of such numbers.
  void attention(Matrix q, Matrix k, Matrix v, const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                 const DropoutMask& mask, Matrix out, Matrix log_sum_exp) {
    if (bfloat16_) {
      assert(!mask);
      return rounded_attention(q, k, v, queries, keys, shape, out, log_sum_exp);
    }
    Base::attention(q, k, v, queries, keys, shape, mask, out, log_sum_exp);
    Sizes of_out(out);
    for_each_probability(
        q, k, log_sum_exp, queries, keys, shape, [&](const Pair& at, double p, double error, double n) {
          for (int c = 0; c < at.width; ++c)
            of_out(at.query, at.first + c) += square(p * (error + std::sqrt(n)) * v.row(at.key)[at.first + c]);
        });
    perturb(out, [&](int r, int c) { return std::sqrt(of_out(r, c)); });
    perturb(log_sum_exp, [&](int r, int c) { return std::abs(log_sum_exp.row(r)[c]) + 4; });
  }
  // dS = scale P ∘ (dout vᵀ - D), whose two parts are sums of w products; dq = dS k, dk = dSᵀ q and dv = Pᵀ dout.
  void attention_backward(Matrix dout, Matrix q, Matrix k, Matrix v, Matrix out, Matrix log_sum_exp,
                          const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                          const DropoutMask& mask, Matrix dq, Matrix dk, Matrix dv) {
    if (bfloat16_) {
      assert(!mask);
      return rounded_attention_backward(dout, q, k, v, out, log_sum_exp, queries, keys, shape, dq, dk, dv);
    }
    Base::attention_backward(dout, q, k, v, out, log_sum_exp, queries, keys, shape, mask, dq, dk, dv);
    Sizes of_q(dq), of_k(dk), of_v(dv);
    for_each_probability(
        q, k, log_sum_exp, queries, keys, shape, [&](const Pair& at, double p, double error, double n) {
          const auto up = part(dout, at.query, at), value = part(v, at.key, at), result = part(out, at.query, at);
          const double inner = dot(up, value) - dot(up, result), walk = std::sqrt(double(at.width));
          const double size =
              shape.scale * p *
              std::hypot((error + std::sqrt(n)) * inner, walk * norm(up) * norm(value), walk * norm(up) * norm(result));
          const double of_p = p * (error + std::sqrt(queries.longest()));
          for (int c = at.first; c < at.first + at.width; ++c) {
            of_q(at.query, c) += square(size * k.row(at.key)[c]);
            of_k(at.key, c) += square(size * q.row(at.query)[c]);
            of_v(at.key, c) += square(of_p * dout.row(at.query)[c]);
          }
        });
    perturb(dq, [&](int r, int c) { return std::sqrt(of_q(r, c)); });
    perturb(dk, [&](int r, int c) { return std::sqrt(of_k(r, c)); });
    perturb(dv, [&](int r, int c) { return std::sqrt(of_v(r, c)); });
  }

  // A logit less the largest is off by 2 ‖x‖∞, the sum of n exponentials by √n, and a logarithm and products follow.
  void cross_entropy(Matrix logits, Matrix bias, std::span<const int> targets, double smoothing, double gradient_scale,
                     Matrix losses) {
    auto size = row_maxima(logits);
    const double most_bias = bias ? row_maxima(bias)[0] : 0.0;
    for (auto& s : size) s = 2 * (s + most_bias) + std::sqrt(double(logits.cols)) + 4;
    Base::cross_entropy(logits, bias, targets, smoothing, gradient_scale, losses);
    perturb(losses, [&](int r, int c) { return size[r] + 2 * losses.row(r)[c]; });
    if (gradient_scale == 0.0) return;
    perturb(logits, [&](int r, int c) {
      const double at = logits.row(r)[c];
      const double hit = c == targets[r] ? 1.0 - smoothing : 0.0;
      const double probability = at / gradient_scale + smoothing / logits.cols + hit;
      return std::abs(gradient_scale) * (size[r] * probability + hit) + std::abs(at);
    });
  }

  // The moments and the step have some eight roundings, the new value one more.
  void adam(const neural_attention::AdamStep& how, Matrix gradient, Matrix value, Matrix first, Matrix second,
            const neural_attention::StepOutcome* outcome) {
    Base::adam(how, gradient, value, first, second, outcome);
    perturb(value, [&](int r, int c) { return std::abs(value.row(r)[c]) + 8 * how.learning_rate; });
  }

 private:
  static constexpr double unit = 0x1p-24;

  /// A number as products read it. Rounding to eight bits is off by up to half a unit in the last of them, as likely
  /// one way as the other; numbers that have only eight bits are exact. As with rounding, the error is a function of
  /// the number: an operand is off by the same in every product that it takes part in.
  double operand(double x) const {
    constexpr std::uint64_t lost = (std::uint64_t{1} << (52 - 7)) - 1;
    const auto bits = std::bit_cast<std::uint64_t>(x);
    if (!bfloat16_ || (bits & lost) == 0) return x;
    const neural_attention::RandomKey key{seed_, 1, 0};
    const auto words = key.words(static_cast<std::uint32_t>(bits >> 32), static_cast<std::uint32_t>(bits));
    return x + std::ldexp(neural_attention::unit_interval(words[0]) - 0.5, std::ilogb(x) - 7);
  }

  /// A matrix as products read it.
  class Operand {
   public:
    Operand(const Perturbed& backend, Matrix x)
        : copy_(static_cast<std::size_t>(x.size())), rows_(x.rows), cols_(x.cols) {
      for (int r = 0; r < x.rows; ++r)
        std::transform(x.row(r), x.row(r) + x.cols, copy_.begin() + std::ptrdiff_t{r} * x.cols,
                       [&](double value) { return backend.operand(value); });
    }
    operator Matrix() { return {copy_.data(), rows_, cols_}; }

   private:
    std::vector<double> copy_;
    int rows_, cols_;
  };

  /// A query and a key that it sees, as rows, in the head with columns first … first+width-1.
  struct Pair {
    int query, key, first, width;
  };

  static Matrix part(Matrix x, int row, const Pair& at) { return x.slice(row, 1).columns(at.first, at.width); }

  // Attention as in the backend, whose products read q, k, v, dout, e = exp(score - largest), P and dS; the sum of e
  // and D are not products of matrices. Float's own errors are left out: they are 2^-15 of these.
  void rounded_attention(Matrix q, Matrix k, Matrix v, const Ragged& queries, const Ragged& keys,
                         const AttentionShape& shape, Matrix out, Matrix log_sum_exp) const {
    Operand of_q(*this, q), of_k(*this, k), of_v(*this, v);
    std::vector<double> scores;
    for_each_query(q, queries, keys, shape, [&](const Pair& first, int n) {
      const int head = first.first / first.width;
      scores.clear();
      for (int j = 0; j < n; ++j)
        scores.push_back(shape.scale * dot(part(of_q, first.query, first), part(of_k, first.key + j, first)));
      const double top = *std::max_element(scores.begin(), scores.end());
      const auto result = part(out, first.query, first);
      std::fill_n(result.data, result.cols, 0.0);
      double sum = 0.0;
      for (int j = 0; j < n; ++j) {
        const double e = std::exp(scores[j] - top);
        sum += e;
        add_scaled(operand(e), part(of_v, first.key + j, first), result);
      }
      for (int c = 0; c < result.cols; ++c) result.data[c] /= sum;
      log_sum_exp.row(first.query)[head] = top + std::log(sum);
    });
  }
  void rounded_attention_backward(Matrix dout, Matrix q, Matrix k, Matrix v, Matrix out, Matrix log_sum_exp,
                                  const Ragged& queries, const Ragged& keys, const AttentionShape& shape, Matrix dq,
                                  Matrix dk, Matrix dv) {
    Operand of_q(*this, q), of_k(*this, k), of_v(*this, v), of_dout(*this, dout);
    for (const auto gradient : {dq, dk, dv}) fill(gradient, 0.0);
    for_each_query(q, queries, keys, shape, [&](const Pair& first, int n) {
      const auto query = part(of_q, first.query, first), up = part(of_dout, first.query, first);
      const double log_sum = log_sum_exp.row(first.query)[first.first / first.width];
      const double d = dot(part(dout, first.query, first), part(out, first.query, first));
      for (int j = first.key; j < first.key + n; ++j) {
        const auto key = part(of_k, j, first);
        const double p = std::exp(shape.scale * dot(query, key) - log_sum);
        const double ds = operand(shape.scale * p * (dot(up, part(of_v, j, first)) - d));
        add_scaled(operand(p), up, part(dv, j, first));
        add_scaled(ds, query, part(dk, j, first));
        add_scaled(ds, key, part(dq, first.query, first));
      }
    });
  }

  template <class Size>
  void perturb(Matrix y, Size&& size) {
    for (int r = 0; r < y.rows; ++r)
      for (int c = 0; c < y.cols; ++c) y.row(r)[c] += unit * size(r, c) * random_.normal();
  }

  /// Squared sizes of the errors of a matrix.
  class Sizes {
   public:
    explicit Sizes(Matrix like) : cols_(like.cols), squares_(static_cast<std::size_t>(like.size())) {}
    double& operator()(int r, int c) { return squares_[static_cast<std::size_t>(r * cols_ + c)]; }

   private:
    int cols_;
    std::vector<double> squares_;
  };

  /// Calls use(pair with the first key, number of keys) for every query and head.
  template <class Use>
  static void for_each_query(Matrix q, const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                             Use&& use) {
    const int width = q.cols / shape.heads;
    for (int s = 0; s < queries.sequences(); ++s)
      for (int head = 0; head < shape.heads; ++head)
        for (int i = 0; i < queries.length(s); ++i)
          use(Pair{queries.begin(s) + i, keys.begin(s), head * width, width}, shape.causal ? i + 1 : keys.length(s));
  }

  /// Calls use(pair, probability, its relative error, number of keys) for every query, key and head.
  template <class Use>
  static void for_each_probability(Matrix q, Matrix k, Matrix log_sum_exp, const Ragged& queries, const Ragged& keys,
                                   const AttentionShape& shape, Use&& use) {
    std::vector<double> probabilities, errors;
    for_each_query(q, queries, keys, shape, [&](const Pair& first, int n) {
      probabilities.clear();
      errors.clear();
      double common = std::sqrt(double(n)) + 4;
      for (int j = 0; j < n; ++j) {
        const auto a = part(q, first.query, first), b = part(k, first.key + j, first);
        const double score = shape.scale * dot(a, b);
        probabilities.push_back(std::exp(score - log_sum_exp.row(first.query)[first.first / first.width]));
        errors.push_back(shape.scale * std::sqrt(double(first.width)) * norm(a) * norm(b) + 2 * std::abs(score));
        common += probabilities.back() * errors.back();
      }
      for (int j = 0; j < n; ++j) {
        const Pair pair{first.query, first.key + j, first.first, first.width};
        use(pair, probabilities[j], errors[j] + common, n);
      }
    });
  }

  static double square(double x) { return x * x; }
  static double dot(Matrix a, Matrix b) {
    double sum = 0.0;
    for (int c = 0; c < a.cols; ++c) sum += a.data[c] * b.data[c];
    return sum;
  }
  static double norm(Matrix a) { return std::sqrt(dot(a, a)); }
  /// y += factor · x
  static void add_scaled(double factor, Matrix x, Matrix y) {
    for (int c = 0; c < x.cols; ++c) y.data[c] += factor * x.data[c];
  }

  static std::vector<double> row_norms(Matrix x) {
    std::vector<double> result(static_cast<std::size_t>(x.rows));
    for (int r = 0; r < x.rows; ++r)
      for (int c = 0; c < x.cols; ++c) result[r] = std::hypot(result[r], x.row(r)[c]);
    return result;
  }
  static std::vector<double> column_norms(Matrix x) {
    std::vector<double> result(static_cast<std::size_t>(x.cols));
    for (int r = 0; r < x.rows; ++r)
      for (int c = 0; c < x.cols; ++c) result[c] = std::hypot(result[c], x.row(r)[c]);
    return result;
  }
  static std::vector<double> row_maxima(Matrix x) {
    std::vector<double> result(static_cast<std::size_t>(x.rows));
    for (int r = 0; r < x.rows; ++r)
      for (int c = 0; c < x.cols; ++c) result[r] = std::max(result[r], std::abs(x.row(r)[c]));
    return result;
  }

  bool bfloat16_;
  std::uint32_t seed_;
  neural_attention::RandomStream random_;
};
