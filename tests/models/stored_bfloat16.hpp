// A bound for activations and weights that are stored as bfloat16: Cpu<double> that changes every number on its way
// there by a random error as large as rounding to eight bits may make. What Cuda<bfloat16> keeps in float (parameters,
// their gradients, statistics, losses) is left as it is: float's errors are 2^-16 of these.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/random.hpp"

namespace ops = neural_attention::ops;

/// Single-threaded; `seed` picks the errors.
class StoredBFloat16 : public neural_attention::Cpu<double> {
  using Base = neural_attention::Cpu<double>;

 public:
  using Base::operator();

  explicit StoredBFloat16(int seed) : Base(1), seed_(static_cast<std::uint32_t>(seed)) {}

  void operator()(const ops::Add<Base>& op) {
    Base::operator()(op);
    store(op.y);
  }
  void operator()(const ops::ScatterAdd<Base>& op) {
    Base::operator()(op);
    for (const int row : op.rows) store(op.y.slice(row, 1));
  }
  void operator()(const ops::Linear<Base>& op) {
    Base::operator()(ops::Linear<Base>{
        .x = op.x, .w = Stored(*this, op.w), .bias = Stored(*this, op.bias), .activation = op.activation, .y = op.y});
    store(op.y);
  }
  void operator()(const ops::LinearInputGradient<Base>& op) {
    Base::operator()(
        ops::LinearInputGradient<Base>{.dy = op.dy, .w = Stored(*this, op.w), .into = op.into, .dx = op.dx});
    store(op.dx);
  }
  void operator()(const ops::LayerNorm<Base>& op) {
    Base::operator()(ops::LayerNorm<Base>{.x = op.x,
                                          .gain = Stored(*this, op.gain),
                                          .bias = Stored(*this, op.bias),
                                          .epsilon = op.epsilon,
                                          .relu = op.relu,
                                          .y = op.y,
                                          .stats = op.stats});
    store(op.y);
  }
  void operator()(const ops::LayerNormBackward<Base>& op) {
    Base::operator()(ops::LayerNormBackward<Base>{.dy = op.dy,
                                                  .x = op.x,
                                                  .y = op.y,
                                                  .gain = Stored(*this, op.gain),
                                                  .stats = op.stats,
                                                  .relu = op.relu,
                                                  .into = op.into,
                                                  .dx = op.dx,
                                                  .dgain = op.dgain,
                                                  .dbias = op.dbias});
    store(op.dx);
  }
  void operator()(const ops::ScaleGroups<Base>& op) {
    Base::operator()(ops::ScaleGroups<Base>{.x = op.x, .f = Stored(*this, op.f), .sigmoid = op.sigmoid, .y = op.y});
    store(op.y);
  }
  void operator()(const ops::ScaleGroupsBackward<Base>& op) {
    Base::operator()(ops::ScaleGroupsBackward<Base>{
        .dy = op.dy, .x = op.x, .f = Stored(*this, op.f), .sigmoid = op.sigmoid, .dx = op.dx, .df = op.df});
    store(op.dx);
    store(op.df);
  }
  void operator()(const ops::Activate<Base>& op) {
    Base::operator()(op);
    store(op.y);
  }
  void operator()(const ops::ActivateBackward<Base>& op) {
    Base::operator()(op);
    store(op.dx);
  }
  void operator()(const ops::Dropout<Base>& op) {
    Base::operator()(op);
    if (op.mask) store(op.y);
  }
  void operator()(const ops::ResidualDropout<Base>& op) {
    Base::operator()(op);
    store(op.y);
  }
  void operator()(const ops::Embedding<Base>& op) {
    Base::operator()(ops::Embedding<Base>{
        .ids = op.ids, .table = Stored(*this, op.table), .factor = op.factor, .into = op.into, .y = op.y});
    store(op.y);
  }
  void operator()(const ops::Attention<Base>& op) {
    Base::operator()(op);
    store(op.out);
  }
  void operator()(const ops::AttentionBackward<Base>& op) {
    Base::operator()(op);
    for (const auto gradient : {op.dq, op.dk, op.dv}) store(gradient);
  }
  void operator()(const ops::CrossEntropy<Base>& op) {
    Base::operator()(ops::CrossEntropy<Base>{.logits = op.logits,
                                             .bias = Stored(*this, op.bias),
                                             .targets = op.targets,
                                             .smoothing = op.smoothing,
                                             .gradient_scale = op.gradient_scale,
                                             .losses = op.losses});
    if (op.gradient_scale != 0.0) store(op.logits);
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
