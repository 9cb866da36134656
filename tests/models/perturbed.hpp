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
#include <unordered_map>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/random.hpp"

namespace ops = neural_attention::ops;

/// Operations without errors of their own: exact ones, sums that every backend makes in double, and some whose errors
/// are left out, which makes the bounds tighter.
using Unperturbed =
    ops::OperationList<ops::CopyOf<double>, ops::FillOf<double>, ops::DownloadOf<double>, ops::GatherOf<double>,
                       ops::SumLossesOf<double>, ops::SquaredNormOf<double>, ops::ClippingOf<double>,
                       ops::DropoutOf<double>, ops::RmsNormOf<double>, ops::RmsNormBackwardOf<double>>;

/// Single-threaded; `seed` picks the errors.
class Perturbed : public neural_attention::Cpu<double> {
  using Base = neural_attention::Cpu<double>;
  using Ragged = neural_attention::Ragged;
  using AttentionShape = neural_attention::AttentionShape;
  using Activation = neural_attention::Activation;
  using Precision = neural_attention::Precision;

 public:
  template <class Op>
  ops::ResultOf<Op> operator()(const Op& op) {
    static_assert(ops::detail::listed<Op, Unperturbed>, "say below what errors single precision makes here");
    return Base::operator()(op);
  }

  explicit Perturbed(int seed, Precision precision = Precision::Float32)
      : Base(1),
        bfloat16_(precision == Precision::BFloat16),
        seed_(static_cast<std::uint32_t>(seed)),
        random_({static_cast<std::uint64_t>(seed), 0, 0}) {}

  /// Numbers that enter are rounded once.
  void operator()(const ops::Upload<Base>& op) {
    Base::operator()(op);
    perturb(op.x, [&](int r, int c) { return std::abs(op.x.row(r)[c]); });
  }
  void operator()(const ops::Add<Base>& op) {
    Base::operator()(op);
    perturb(op.y, [&](int r, int c) { return std::abs(op.y.row(r)[c]); });
  }
  void operator()(const ops::ResidualDropout<Base>& op) {
    Base::operator()(op);
    perturb(op.y, [&](int r, int c) { return std::abs(op.y.row(r)[c]); });
  }

  void operator()(const ops::ScatterAdd<Base>& op) {
    Base::operator()(op);
    for (const int r : op.rows) perturb(op.y.slice(r, 1), [&](int, int c) { return std::abs(op.y.row(r)[c]); });
  }

  void operator()(const ops::Linear<Base>& op) {
    Base::operator()(ops::Linear<Base>{
        .x = Operand(*this, op.x), .w = Operand(*this, op.w), .bias = op.bias, .activation = op.activation, .y = op.y});
    const auto a = row_norms(op.x), b = row_norms(op.w);
    const double walk = std::sqrt(op.x.cols + 1.0);  // the bias is one more term
    perturb(op.y, [&](int r, int c) {                // a fused ReLU passes errors on or drops them
      if (op.activation == Activation::Relu && op.y.row(r)[c] == 0.0) return 0.0;
      return walk * std::hypot(a[r] * b[c], op.bias ? op.bias.data[c] : 0.0);
    });
  }
  void operator()(const ops::LinearInputGradient<Base>& op) {
    Base::operator()(ops::LinearInputGradient<Base>{
        .dy = Operand(*this, op.dy), .w = Operand(*this, op.w), .into = op.into, .dx = op.dx});
    const auto a = row_norms(op.dy), b = column_norms(op.w);
    perturb(op.dx,
            [&](int r, int c) { return std::sqrt(double(op.dy.cols)) * a[r] * b[c] + std::abs(op.dx.row(r)[c]); });
  }
  void operator()(const ops::LinearWeightGradient<Base>& op) {
    Base::operator()(
        ops::LinearWeightGradient<Base>{.dy = Operand(*this, op.dy), .x = Operand(*this, op.x), .dw = op.dw});
    const auto a = column_norms(op.dy), b = column_norms(op.x);
    perturb(op.dw,
            [&](int r, int c) { return std::sqrt(double(op.dy.rows)) * a[r] * b[c] + std::abs(op.dw.row(r)[c]); });
  }
  void operator()(const ops::BiasGradient<Base>& op) {
    Base::operator()(op);
    const auto a = column_norms(op.dy);  // the other operand is a column of ones
    perturb(op.db, [&](int r, int c) { return double(op.dy.rows) * a[c] + std::abs(op.db.row(r)[c]); });
  }

  // x - mean is off by the roundings of a sum of n terms, divided by n, and of one subtraction: (1/√n · √n + 2) ‖x‖∞;
  // the variance is a sum of n terms as well, and the root halves its relative error.
  void operator()(const ops::LayerNorm<Base>& op) {
    const auto largest = row_maxima(op.x);
    Base::operator()(op);
    const double walk = std::sqrt(double(op.x.cols)) / 2 + 3;
    perturb_alike(op.y, [&](int r, int c) {
      const double value = op.y.row(r)[c], b = op.bias ? std::abs(op.bias.data[c]) : 0.0;
      if (op.relu && value == 0.0) return 0.0;
      return 3 * largest[r] * op.stats.row(r)[1] * std::abs(op.gain.data[c]) + walk * (std::abs(value) + b);
    });
  }
  // The two means are sums of n products: with g = dy · gain each is at most ‖g‖/√n and off by u ‖g‖.
  void operator()(const ops::LayerNormBackward<Base>& op) {
    const auto up = column_norms(op.dy), largest = row_maxima(op.x);
    std::vector<double> g(static_cast<std::size_t>(op.dy.rows)), normal(static_cast<std::size_t>(op.x.cols));
    const auto normalized = [&](int r, int c) { return (op.x.row(r)[c] - op.stats.row(r)[0]) * op.stats.row(r)[1]; };
    const auto off = [&](int r) { return 3 * largest[r] * op.stats.row(r)[1] + std::sqrt(double(op.x.cols)) / 2 + 3; };
    for (int r = 0; r < op.dy.rows; ++r)
      for (int c = 0; c < op.dy.cols; ++c) {
        g[r] = std::hypot(g[r], op.dy.row(r)[c] * op.gain.data[c]);
        normal[c] = std::hypot(normal[c], std::abs(normalized(r, c)) + off(r));
      }
    Base::operator()(op);
    perturb(op.dx, [&](int r, int c) {
      return op.stats.row(r)[1] * g[r] * (3 + off(r)) * (1 + std::abs(normalized(r, c))) + std::abs(op.dx.row(r)[c]);
    });
    const double walk = std::sqrt(double(op.dy.rows));
    perturb(op.dgain, [&](int, int c) { return walk * up[c] * normal[c] + std::abs(op.dgain.data[c]); });
    if (op.dbias) perturb(op.dbias, [&](int, int c) { return walk * walk * up[c] + std::abs(op.dbias.data[c]); });
  }

  // As here, without a sigmoid and with one factor for all columns: products, and for each row a sum of them.
  void operator()(const ops::ScaleGroups<Base>& op) {
    assert(!op.sigmoid && op.f.cols == 1);
    Base::operator()(op);
    perturb(op.y, [&](int r, int c) { return std::abs(op.y.row(r)[c]); });
  }
  void operator()(const ops::ScaleGroupsBackward<Base>& op) {
    assert(!op.sigmoid && op.f.cols == 1);
    const auto a = row_norms(op.dy), b = row_norms(op.x);  // dx may be dy
    Base::operator()(op);
    perturb(op.dx, [&](int r, int c) { return std::abs(op.dx.row(r)[c]); });
    perturb(op.df, [&](int r, int) { return std::sqrt(double(op.x.cols)) * a[r] * b[r]; });
  }

  // exp, the sum with 1, the division and the products: four roundings. GELU's erf is off by 7u (4e-7) at all sizes,
  // which is halved and multiplied by x. An error of the exponent 2u counts up to a quarter of its size in GPT-2's
  // gate.
  void operator()(const ops::Activate<Base>& op) {
    std::vector<double> size;
    for (int r = 0; r < op.x.rows; ++r)
      for (int c = 0; c < op.x.cols; ++c)
        size.push_back(std::abs(op.x.row(r)[c]) * (op.f == Activation::Gelu       ? 4
                                                   : op.f == Activation::GeluTanh ? 1
                                                                                  : 0));
    Base::operator()(op);
    perturb_alike(op.y, [&](int r, int c) {
      return size[static_cast<std::size_t>(r * op.y.cols + c)] + 4 * std::abs(op.y.row(r)[c]);
    });
  }
  void operator()(const ops::ActivateBackward<Base>& op) {
    std::vector<double> size;
    for (int r = 0; r < op.x.rows; ++r)
      for (int c = 0; c < op.x.cols; ++c) {
        const bool passed = op.f != Activation::Relu || op.x.row(r)[c] > 0.0;
        size.push_back(passed ? 4 * std::abs(op.dy.row(r)[c]) * (1 + std::abs(op.x.row(r)[c])) : 0.0);
      }
    Base::operator()(op);
    perturb(op.dx, [&](int r, int c) { return size[static_cast<std::size_t>(r * op.x.cols + c)]; });
  }

  void operator()(const ops::Embedding<Base>& op) {
    Base::operator()(op);
    perturb(op.y, [&](int r, int c) {
      return 2 * std::abs(op.factor * op.table.row(op.ids[r])[c]) + std::abs(op.y.row(r)[c]);
    });
  }
  void operator()(const ops::EmbeddingBackward<Base>& op) {
    Base::operator()(op);
    const auto norms = column_norms(op.dy);
    for (const int id : op.ids) {
      if (id == op.padding) continue;
      const auto row = op.dtable.slice(id, 1);
      perturb(row,
              [&](int, int c) { return std::sqrt(double(op.dy.rows)) * op.factor * norms[c] + std::abs(row.data[c]); });
    }
  }

  // A score is off by scale √w ‖q‖‖k‖ (w columns a head), which is the relative error of its probability together with
  // the mean of those errors and √n for the normalizer. Every result is a sum of products of such numbers.
  void operator()(const ops::Attention<Base>& op) {
    if (bfloat16_) {
      assert(!op.mask);
      return rounded_attention(op.q, op.k, op.v, op.queries, op.keys, op.shape, op.out, op.log_sum_exp);
    }
    Base::operator()(op);
    Sizes of_out(op.out);
    for_each_probability(op.q, op.k, op.log_sum_exp, op.queries, op.keys, op.shape,
                         [&](const Pair& at, double p, double error, double n) {
                           for (int c = 0; c < at.width; ++c)
                             of_out(at.query, at.first + c) +=
                                 square(p * (error + std::sqrt(n)) * op.v.row(at.key)[at.first + c]);
                         });
    perturb(op.out, [&](int r, int c) { return std::sqrt(of_out(r, c)); });
    perturb(op.log_sum_exp, [&](int r, int c) { return std::abs(op.log_sum_exp.row(r)[c]) + 4; });
  }
  // dS = scale P ∘ (dout vᵀ - D), whose two parts are sums of w products, times a soft cap's slope; dq = dS k, dk = dSᵀ
  // q and dv = Pᵀ dout.
  void operator()(const ops::AttentionBackward<Base>& op) {
    if (bfloat16_) {
      assert(!op.mask);
      return rounded_attention_backward(op.dout, op.q, op.k, op.v, op.out, op.log_sum_exp, op.queries, op.keys,
                                        op.shape, op.dq, op.dk, op.dv);
    }
    Base::operator()(op);
    Sizes of_q(op.dq), of_k(op.dk), of_v(op.dv);
    for_each_probability(
        op.q, op.k, op.log_sum_exp, op.queries, op.keys, op.shape,
        [&](const Pair& at, double p, double error, double n) {
          const auto up = part(op.dout, at.query, at), value = part(op.v, at.key, at),
                     result = part(op.out, at.query, at);
          const double inner = dot(up, value) - dot(up, result), walk = std::sqrt(double(at.width));
          const double of_sums =
              std::hypot((error + std::sqrt(n)) * inner, walk * norm(up) * norm(value), walk * norm(up) * norm(result));
          const double size = op.shape.scale * p * std::hypot(at.slope * of_sums, at.slope_error * inner);
          const double of_p = p * (error + std::sqrt(op.queries.longest()));
          for (int c = at.first; c < at.first + at.width; ++c) {
            of_q(at.query, c) += square(size * op.k.row(at.key)[c]);
            of_k(at.key, c) += square(size * op.q.row(at.query)[c]);
            of_v(at.key, c) += square(of_p * op.dout.row(at.query)[c]);
          }
        });
    perturb(op.dq, [&](int r, int c) { return std::sqrt(of_q(r, c)); });
    perturb(op.dk, [&](int r, int c) { return std::sqrt(of_k(r, c)); });
    perturb(op.dv, [&](int r, int c) { return std::sqrt(of_v(r, c)); });
  }

  // A logit less the largest is off by 2 ‖x‖∞, the sum of n exponentials by √n, and a logarithm and products follow.
  void operator()(const ops::CrossEntropy<Base>& op) {
    auto size = row_maxima(op.logits);
    const double most_bias = op.bias ? row_maxima(op.bias)[0] : 0.0;
    for (auto& s : size) s = 2 * (s + most_bias) + std::sqrt(double(op.logits.cols)) + 4;
    Base::operator()(op);
    perturb(op.losses, [&](int r, int c) { return size[r] + 2 * op.losses.row(r)[c]; });
    if (op.gradient_scale == 0.0) return;
    perturb(op.logits, [&](int r, int c) {
      const double at = op.logits.row(r)[c];
      const double hit = c == op.targets[r] ? 1.0 - op.smoothing : 0.0;
      const double probability = at / op.gradient_scale + op.smoothing / op.logits.cols + hit;
      return std::abs(op.gradient_scale) * (size[r] * probability + hit) + std::abs(at);
    });
  }

  // The moments and the step have some eight roundings, the new value one more.
  void operator()(const ops::Update<Base, neural_attention::AdamRule>& op) {
    Base::operator()(op);
    perturb(op.value, [&](int r, int c) { return std::abs(op.value.row(r)[c]) + 8 * op.rule.learning_rate; });
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
    double slope = 1.0, slope_error = 0.0;  ///< of a soft cap
  };

  /// The score of a query and a key with that product, and the slope of a soft cap there.
  struct Score {
    double value, slope;
  };
  static Score score_of(double product, const AttentionShape& shape) {
    const double score = shape.scale * product, cap = shape.soft_cap;
    if (cap == 0.0) return {score, 1.0};
    const double t = std::tanh(score / cap);
    return {cap * t, 1.0 - t * t};
  }

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
        scores.push_back(score_of(dot(part(of_q, first.query, first), part(of_k, first.key + j, first)), shape).value);
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
    for (const auto gradient : {dq, dk, dv}) (*this)(ops::Fill<Base>{.x = gradient, .value = 0.0});
    for_each_query(q, queries, keys, shape, [&](const Pair& first, int n) {
      const auto query = part(of_q, first.query, first), up = part(of_dout, first.query, first);
      const double log_sum = log_sum_exp.row(first.query)[first.first / first.width];
      const double d = dot(part(dout, first.query, first), part(out, first.query, first));
      for (int j = first.key; j < first.key + n; ++j) {
        const auto key = part(of_k, j, first);
        const auto score = score_of(dot(query, key), shape);
        const double p = std::exp(score.value - log_sum);
        const double ds = operand(shape.scale * score.slope * p * (dot(up, part(of_v, j, first)) - d));
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

  /// The same for an operation that backward may run again: as with rounding, it is then off by the same.
  template <class Size>
  void perturb_alike(Matrix y, Size&& size) {
    std::uint64_t numbers = static_cast<std::uint64_t>(y.cols);
    for (int r = 0; r < y.rows; ++r)
      for (int c = 0; c < y.cols; ++c)
        numbers = std::rotl((numbers ^ std::bit_cast<std::uint64_t>(y.row(r)[c])) * 0x9e3779b97f4a7c15u, 29);
    const auto [known, is_new] = begins_.try_emplace(numbers, random_);
    const auto ahead = random_;
    random_ = known->second;
    perturb(y, size);
    if (!is_new) random_ = ahead;
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

  /// Calls use(pair, probability, its relative error, number of keys) for every query, key and head. A soft cap passes
  /// on an error of the score by its slope and adds four roundings; its slope 1 - t² is off by that of t and two more.
  template <class Use>
  static void for_each_probability(Matrix q, Matrix k, Matrix log_sum_exp, const Ragged& queries, const Ragged& keys,
                                   const AttentionShape& shape, Use&& use) {
    std::vector<double> probabilities, errors, slopes, slope_errors;
    for_each_query(q, queries, keys, shape, [&](const Pair& first, int n) {
      for (auto* list : {&probabilities, &errors, &slopes, &slope_errors}) list->clear();
      double common = std::sqrt(double(n)) + 4;
      for (int j = 0; j < n; ++j) {
        const auto a = part(q, first.query, first), b = part(k, first.key + j, first);
        const double product = dot(a, b), walk = std::sqrt(double(first.width));
        const auto [score, slope] = score_of(product, shape);
        double error = shape.scale * (walk * norm(a) * norm(b) + 2 * std::abs(product)), slope_error = 0.0;
        if (shape.soft_cap > 0.0) {
          error = slope * error + 4 * std::abs(score);
          slope_error = 2 * std::abs(score) * error / square(shape.soft_cap) + 2;
        }
        probabilities.push_back(std::exp(score - log_sum_exp.row(first.query)[first.first / first.width]));
        errors.push_back(error);
        slopes.push_back(slope);
        slope_errors.push_back(slope_error);
        common += probabilities.back() * error;
      }
      for (int j = 0; j < n; ++j) {
        const Pair pair{first.query, first.key + j, first.first, first.width, slopes[j], slope_errors[j]};
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
  std::unordered_map<std::uint64_t, neural_attention::RandomStream> begins_;  ///< of the errors of these results
};
