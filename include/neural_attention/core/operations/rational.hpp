// A learned rational function of each element, P(x) / Q(x) with P = Σ a_i xⁱ and Q = 1 + Σ |b_j| |x|ʲ, so that no x is
// a pole: the safe Padé form (Molina et al. 2020), with one P for all columns and a Q for each group of neighbouring
// ones (arXiv 2409.10594).
#pragma once

#include <algorithm>

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention {

/// The highest degree of either polynomial.
inline constexpr int highest_degree = 8;

/// The first of the columns whose group is `group` of `groups`.
constexpr int first_of_group(int group, int groups, int cols) {
  return static_cast<int>(std::ptrdiff_t{group} * cols / groups);
}

namespace ops {

/// y = P(x) / Q(x), numerator [1, m + 1] holds a_0 … a_m, denominator [groups, n] b_1 … b_n of each group. y may be x.
template <class T>
struct RationalOf {
  static constexpr std::string_view name = "rational";
  RowsOf<T> x;
  RowsOf<T> numerator;
  RowsOf<T> denominator;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("numerator", Access::Read, self.numerator);
    operand("denominator", Access::Read, self.denominator);
    operand("y", Access::Write, self.y);
  }
};
template <class B>
using Rational = RationalOf<typename B::Scalar>;

/// dx = dy · (P' Q - P Q') / Q², or += …; dnumerator += Σ dy xⁱ / Q and ddenominator += -Σ dy P |x|ʲ sign(b_j) / Q²,
/// where sign(0) is 1. dx may be dy.
template <class T>
struct RationalBackwardOf {
  static constexpr std::string_view name = "rational_backward";
  RowsOf<T> dy;
  RowsOf<T> x;
  RowsOf<T> numerator;
  RowsOf<T> denominator;
  Into into = Into::Write;
  RowsOf<T> dx;
  RowsOf<RealOf<T>> dnumerator;
  RowsOf<RealOf<T>> ddenominator;

  static void visit(auto& self, auto&& operand) {
    operand("dy", Access::Read, self.dy);
    operand("x", Access::Read, self.x);
    operand("numerator", Access::Read, self.numerator);
    operand("denominator", Access::Read, self.denominator);
    operand("dx", access(self.into), self.dx);
    operand("dnumerator", Access::Update, self.dnumerator);
    operand("ddenominator", Access::Update, self.ddenominator);
  }
};
template <class B>
using RationalBackward = RationalBackwardOf<typename B::Scalar>;

template <class T>
using RationalOperations = OperationList<RationalOf<T>, RationalBackwardOf<T>>;

}  // namespace ops
}  // namespace neural_attention
