// A bound for activations and weights that are stored as bfloat16: Cpu<double> that changes every number on its way
// there by a random error as large as rounding to eight bits may make. What Cuda<bfloat16> keeps in float (parameters,
// their gradients, statistics, losses) is left as it is: float's errors are 2^-16 of these.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/random.hpp"

/// Single-threaded; `seed` picks the errors.
class StoredBFloat16 : public neural_attention::Cpu<double> {
  using Base = neural_attention::Cpu<double>;
  using Activation = neural_attention::Activation;
  using AttentionShape = neural_attention::AttentionShape;
  using DropoutMask = neural_attention::DropoutMask;
  using Ragged = neural_attention::Ragged;

 public:
  explicit StoredBFloat16(int seed) : Base(1), seed_(static_cast<std::uint32_t>(seed)) {}

  void add(Matrix x, Matrix y) {
    Base::add(x, y);
    store(y);
  }
  void scatter_add(Matrix x, std::span<const int> rows, Matrix y) {
    Base::scatter_add(x, rows, y);
    for (const int row : rows) store(y.slice(row, 1));
  }
  void linear(Matrix x, Matrix w, Matrix bias, Activation f, Matrix y) {
    Base::linear(x, Stored(*this, w), Stored(*this, bias), f, y);
    store(y);
  }
  void linear_input_gradient(Matrix dy, Matrix w, bool accumulate, Matrix dx) {
    Base::linear_input_gradient(dy, Stored(*this, w), accumulate, dx);
    store(dx);
  }
  void layer_norm(Matrix x, Matrix gain, Matrix bias, double epsilon, bool relu, Matrix y, Matrix stats) {
    Base::layer_norm(x, Stored(*this, gain), Stored(*this, bias), epsilon, relu, y, stats);
    store(y);
  }
  void layer_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, Matrix stats, bool relu, bool accumulate,
                           Matrix dx, Matrix dgain, Matrix dbias) {
    Base::layer_norm_backward(dy, x, y, Stored(*this, gain), stats, relu, accumulate, dx, dgain, dbias);
    store(dx);
  }
  void activation(Activation f, Matrix x, Matrix y) {
    Base::activation(f, x, y);
    store(y);
  }
  void activation_backward(Activation f, Matrix x, Matrix dy, Matrix dx) {
    Base::activation_backward(f, x, dy, dx);
    store(dx);
  }
  void dropout(Matrix x, const DropoutMask& mask, Matrix y) {
    Base::dropout(x, mask, y);
    if (mask) store(y);
  }
  void residual_dropout(Matrix residual, Matrix x, const DropoutMask& mask, Matrix y) {
    Base::residual_dropout(residual, x, mask, y);
    store(y);
  }
  void embedding(std::span<const int> ids, Matrix table, double factor, bool accumulate, Matrix y) {
    Base::embedding(ids, Stored(*this, table), factor, accumulate, y);
    store(y);
  }
  void attention(Matrix q, Matrix k, Matrix v, const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                 const DropoutMask& mask, Matrix out, Matrix log_sum_exp) {
    Base::attention(q, k, v, queries, keys, shape, mask, out, log_sum_exp);
    store(out);
  }
  void attention_backward(Matrix dout, Matrix q, Matrix k, Matrix v, Matrix out, Matrix log_sum_exp,
                          const Ragged& queries, const Ragged& keys, const AttentionShape& shape,
                          const DropoutMask& mask, Matrix dq, Matrix dk, Matrix dv) {
    Base::attention_backward(dout, q, k, v, out, log_sum_exp, queries, keys, shape, mask, dq, dk, dv);
    for (const auto gradient : {dq, dk, dv}) store(gradient);
  }
  void cross_entropy(Matrix logits, Matrix bias, std::span<const int> targets, double smoothing, double gradient_scale,
                     Matrix losses) {
    Base::cross_entropy(logits, Stored(*this, bias), targets, smoothing, gradient_scale, losses);
    if (gradient_scale != 0.0) store(logits);
  }

 private:
  /// A number of eight bits, but for an error up to half a unit of the last of them, as likely one way as the other. It
  /// is a function of the number, as that of rounding is: a weight is off by the same wherever it is read.
  double stored(double x) const {
    if (x == 0.0) return x;
    const auto bits = std::bit_cast<std::uint64_t>(x);
    const neural_attention::RandomKey key{seed_, 1, 0};
    const auto words = key.words(static_cast<std::uint32_t>(bits >> 32), static_cast<std::uint32_t>(bits));
    return x + std::ldexp(neural_attention::unit_interval(words[0]) - 0.5, std::ilogb(x) - 7);
  }
  void store(Matrix x) const {
    for (int r = 0; r < x.rows; ++r)
      std::transform(x.row(r), x.row(r) + x.cols, x.row(r), [this](double value) { return stored(value); });
  }

  /// A parameter as modules read it; none of none.
  class Stored {
   public:
    Stored(const StoredBFloat16& backend, Matrix x)
        : copy_(static_cast<std::size_t>(x.size())), rows_(x.rows), cols_(x.cols), some_(x) {
      for (int r = 0; r < x.rows; ++r) std::copy_n(x.row(r), x.cols, copy_.begin() + std::ptrdiff_t{r} * x.cols);
      backend.store(*this);
    }
    operator Matrix() { return some_ ? Matrix(copy_.data(), rows_, cols_) : Matrix(); }

   private:
    std::vector<double> copy_;
    int rows_, cols_;
    bool some_;
  };

  std::uint32_t seed_;
};
