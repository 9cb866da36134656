// LayerNorm and RMSNorm of rows x [n, d] with gain and bias [1, d], and their gradients. LayerNorm may lack a bias.
#pragma once

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::ops {

/// y = (x - mean) · rstd · gain + bias for each row, then ReLU if `relu` is set. stats [n, 2] receives the mean and
/// rstd = 1/sqrt(variance + epsilon). y may be x.
template <class T>
struct LayerNormOf {
  static constexpr std::string_view name = "layer_norm";
  RowsOf<T> x;
  RowsOf<T> gain;
  RowsOf<T> bias = {};
  double epsilon;
  bool relu = false;
  RowsOf<T> y;
  RowsOf<RealOf<T>> stats;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("gain", Access::Read, self.gain);
    operand("bias", Access::Read, self.bias);
    operand("y", Access::Write, self.y);
    operand("stats", Access::Write, self.stats);
  }
};
template <class B>
using LayerNorm = LayerNormOf<typename B::Scalar>;

/// With x̂ = (x - mean) · rstd and g = dy · gain, where `relu` sets dy to 0 wherever y ≤ 0:
/// dx = rstd · (g - mean(g) - x̂ · mean(g · x̂)), or dx += …; dgain += Σ dy · x̂; dbias += Σ dy, if there is a bias.
/// y is the result of forward, read only with `relu`. dx may be dy.
template <class T>
struct LayerNormBackwardOf {
  static constexpr std::string_view name = "layer_norm_backward";
  RowsOf<T> dy;
  RowsOf<T> x;
  RowsOf<T> y = {};
  RowsOf<T> gain;
  RowsOf<RealOf<T>> stats;
  bool relu = false;
  Into into = Into::Write;
  RowsOf<T> dx;
  RowsOf<RealOf<T>> dgain;
  RowsOf<RealOf<T>> dbias = {};

  static void visit(auto& self, auto&& operand) {
    operand("dy", Access::Read, self.dy);
    operand("x", Access::Read, self.x);
    if (self.relu) operand("y", Access::Read, self.y);
    operand("gain", Access::Read, self.gain);
    operand("stats", Access::Read, self.stats);
    operand("dx", access(self.into), self.dx);
    operand("dgain", Access::Update, self.dgain);
    operand("dbias", Access::Update, self.dbias);
  }
};
template <class B>
using LayerNormBackward = LayerNormBackwardOf<typename B::Scalar>;

/// y = x · rstd · gain for each row, then ReLU if `relu` is set. stats [n, 1] receives rstd = 1/sqrt(mean(x²) +
/// epsilon). y may be x.
template <class T>
struct RmsNormOf {
  static constexpr std::string_view name = "rms_norm";
  RowsOf<T> x;
  RowsOf<T> gain;
  double epsilon;
  bool relu = false;
  RowsOf<T> y;
  RowsOf<RealOf<T>> stats;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("gain", Access::Read, self.gain);
    operand("y", Access::Write, self.y);
    operand("stats", Access::Write, self.stats);
  }
};
template <class B>
using RmsNorm = RmsNormOf<typename B::Scalar>;

/// Like LayerNormBackwardOf, but without mean(g) and dbias, and with x̂ = x · rstd.
template <class T>
struct RmsNormBackwardOf {
  static constexpr std::string_view name = "rms_norm_backward";
  RowsOf<T> dy;
  RowsOf<T> x;
  RowsOf<T> y = {};
  RowsOf<T> gain;
  RowsOf<RealOf<T>> stats;
  bool relu = false;
  Into into = Into::Write;
  RowsOf<T> dx;
  RowsOf<RealOf<T>> dgain;

  static void visit(auto& self, auto&& operand) {
    operand("dy", Access::Read, self.dy);
    operand("x", Access::Read, self.x);
    if (self.relu) operand("y", Access::Read, self.y);
    operand("gain", Access::Read, self.gain);
    operand("stats", Access::Read, self.stats);
    operand("dx", access(self.into), self.dx);
    operand("dgain", Access::Update, self.dgain);
  }
};
template <class B>
using RmsNormBackward = RmsNormBackwardOf<typename B::Scalar>;

template <class T>
using NormalizationOperations =
    OperationList<LayerNormOf<T>, LayerNormBackwardOf<T>, RmsNormOf<T>, RmsNormBackwardOf<T>>;

}  // namespace neural_attention::ops
