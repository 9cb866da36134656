// Linear maps and their gradients: x [n, in], w [out, in] as in PyTorch, bias [1, out], y [n, out].
#pragma once

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::ops {

/// y = activation(x wᵀ + bias), or without a bias. If `quantized` is given, it is the weights in the place of w, and
/// the rows of x are rounded to integers as well; only Cpu<float> can do that.
template <class T>
struct LinearOf {
  static constexpr std::string_view name = "linear";
  RowsOf<T> x;
  RowsOf<T> w = {};
  RowsOf<T> bias = {};
  Activation activation = Activation::Identity;
  RowsOf<T> y;
  const QuantizedRows* quantized = nullptr;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("w", Access::Read, self.w);
    operand("quantized", Access::Read, self.quantized);
    operand("bias", Access::Read, self.bias);
    operand("y", Access::Write, self.y);
  }
  double flop() const { return 2.0 * static_cast<double>(y.size()) * x.cols; }
};
template <class B>
using Linear = LinearOf<typename B::Scalar>;

/// dx = dy w, or dx += dy w
template <class T>
struct LinearInputGradientOf {
  static constexpr std::string_view name = "linear_input_gradient";
  RowsOf<T> dy;
  RowsOf<T> w;
  Into into = Into::Write;
  RowsOf<T> dx;

  static void visit(auto& self, auto&& operand) {
    operand("dy", Access::Read, self.dy);
    operand("w", Access::Read, self.w);
    operand("dx", access(self.into), self.dx);
  }
  double flop() const { return 2.0 * static_cast<double>(dx.size()) * dy.cols; }
};
template <class B>
using LinearInputGradient = LinearInputGradientOf<typename B::Scalar>;

/// dw += dyᵀ x
template <class T>
struct LinearWeightGradientOf {
  static constexpr std::string_view name = "linear_weight_gradient";
  RowsOf<T> dy;
  RowsOf<T> x;
  RowsOf<RealOf<T>> dw;

  static void visit(auto& self, auto&& operand) {
    operand("dy", Access::Read, self.dy);
    operand("x", Access::Read, self.x);
    operand("dw", Access::Update, self.dw);
  }
  double flop() const { return 2.0 * static_cast<double>(dw.size()) * dy.rows; }
};
template <class B>
using LinearWeightGradient = LinearWeightGradientOf<typename B::Scalar>;

/// db += column sums of dy; db [1, out]
template <class T>
struct BiasGradientOf {
  static constexpr std::string_view name = "bias_gradient";
  RowsOf<T> dy;
  RowsOf<RealOf<T>> db;

  static void visit(auto& self, auto&& operand) {
    operand("dy", Access::Read, self.dy);
    operand("db", Access::Update, self.db);
  }
};
template <class B>
using BiasGradient = BiasGradientOf<typename B::Scalar>;

template <class T>
using LinearOperations =
    OperationList<LinearOf<T>, LinearInputGradientOf<T>, LinearWeightGradientOf<T>, BiasGradientOf<T>>;

}  // namespace neural_attention::ops
