// Depthwise convolution over packed sequences: every column is convolved along the rows of its sequence with a kernel
// of its own. x, y [sequences.total(), d]; kernel [taps, d]. Rows of different sequences never mix.
#pragma once

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::ops {

/// y_t = Σ_j kernel_j ⊙ x_{t + ahead - j} over those rows that are in the sequence of row t. With `ahead` 0 a row sees
/// itself and earlier ones only.
template <class T>
struct DepthwiseConvolutionOf {
  static constexpr std::string_view name = "depthwise_convolution";
  RowsOf<T> x;
  RowsOf<T> kernel;
  int ahead = 0;
  const Ragged& sequences;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("kernel", Access::Read, self.kernel);
    operand("y", Access::Write, self.y);
  }
};
template <class B>
using DepthwiseConvolution = DepthwiseConvolutionOf<typename B::Scalar>;

/// dx_t = Σ_j kernel_j ⊙ dy_{t - ahead + j}, or dx_t += …; dkernel_j += Σ_t dy_t ⊙ x_{t + ahead - j}. dx is not dy.
template <class T>
struct DepthwiseConvolutionBackwardOf {
  static constexpr std::string_view name = "depthwise_convolution_backward";
  RowsOf<T> dy;
  RowsOf<T> x;
  RowsOf<T> kernel;
  int ahead = 0;
  const Ragged& sequences;
  Into into = Into::Write;
  RowsOf<T> dx;
  RowsOf<RealOf<T>> dkernel;

  static void visit(auto& self, auto&& operand) {
    operand("dy", Access::Read, self.dy);
    operand("x", Access::Read, self.x);
    operand("kernel", Access::Read, self.kernel);
    operand("dx", access(self.into), self.dx);
    operand("dkernel", Access::Update, self.dkernel);
  }
};
template <class B>
using DepthwiseConvolutionBackward = DepthwiseConvolutionBackwardOf<typename B::Scalar>;

template <class T>
using ConvolutionOperations = OperationList<DepthwiseConvolutionOf<T>, DepthwiseConvolutionBackwardOf<T>>;

}  // namespace neural_attention::ops
