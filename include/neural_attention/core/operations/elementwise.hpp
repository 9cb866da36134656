// Element-wise operations. All matrices of one operation have the same shape, except where ScaleGroups says otherwise.
#pragma once

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::ops {

/// y += x
template <class T>
struct AddOf {
  static constexpr std::string_view name = "add";
  RowsOf<T> x;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("y", Access::Update, self.y);
  }
};
template <class B>
using Add = AddOf<typename B::Scalar>;

/// x *= factor
template <class T>
struct ScaleOf {
  static constexpr std::string_view name = "scale";
  RowsOf<T> x;
  double factor;

  static void visit(auto& self, auto&& operand) { operand("x", Access::Update, self.x); }
};
template <class B>
using Scale = ScaleOf<typename B::Scalar>;

/// y = a · b. y may be a or b.
template <class T>
struct MultiplyOf {
  static constexpr std::string_view name = "multiply";
  RowsOf<T> a;
  RowsOf<T> b;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("a", Access::Read, self.a);
    operand("b", Access::Read, self.b);
    operand("y", Access::Write, self.y);
  }
};
template <class B>
using Multiply = MultiplyOf<typename B::Scalar>;

/// da = dy · b and db = dy · a, or += … da may be dy.
template <class T>
struct MultiplyBackwardOf {
  static constexpr std::string_view name = "multiply_backward";
  RowsOf<T> dy;
  RowsOf<T> a;
  RowsOf<T> b;
  Into into = Into::Write;
  RowsOf<T> da;
  RowsOf<T> db;

  static void visit(auto& self, auto&& operand) {
    operand("dy", Access::Read, self.dy);
    operand("a", Access::Read, self.a);
    operand("b", Access::Read, self.b);
    operand("da", access(self.into), self.da);
    operand("db", access(self.into), self.db);
  }
};
template <class B>
using MultiplyBackward = MultiplyBackwardOf<typename B::Scalar>;

/// y = x · f, where neighbouring columns of x [n, d] share a factor: f [n, groups] has one for each of their groups, or
/// f [1, groups] the same for all rows. With `sigmoid` the factors are σ(f). y may be x.
template <class T>
struct ScaleGroupsOf {
  static constexpr std::string_view name = "scale_groups";
  RowsOf<T> x;
  RowsOf<T> f;
  bool sigmoid = false;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("f", Access::Read, self.f);
    operand("y", Access::Write, self.y);
  }
};
template <class B>
using ScaleGroups = ScaleGroupsOf<typename B::Scalar>;

/// dx = dy · f and, for each row and group, df [n, groups] = Σ dy · x; with `sigmoid`, dx = dy · σ(f) and df = σ'(f) ·
/// Σ dy · x. Where all rows share f, its gradient is the sum of df's rows. dx may be dy.
template <class T>
struct ScaleGroupsBackwardOf {
  static constexpr std::string_view name = "scale_groups_backward";
  RowsOf<T> dy;
  RowsOf<T> x;
  RowsOf<T> f;
  bool sigmoid = false;
  RowsOf<T> dx;
  RowsOf<T> df;

  static void visit(auto& self, auto&& operand) {
    operand("dy", Access::Read, self.dy);
    operand("x", Access::Read, self.x);
    operand("f", Access::Read, self.f);
    operand("dx", Access::Write, self.dx);
    operand("df", Access::Write, self.df);
  }
};
template <class B>
using ScaleGroupsBackward = ScaleGroupsBackwardOf<typename B::Scalar>;

/// y = f(x). y may be x.
template <class T>
struct ActivateOf {
  static constexpr std::string_view name = "activate";
  Activation f;
  RowsOf<T> x;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("y", Access::Write, self.y);
  }
};
template <class B>
using Activate = ActivateOf<typename B::Scalar>;

/// dx = dy · f'(x). For ReLU x may be the input or the output of forward. dx may be dy.
template <class T>
struct ActivateBackwardOf {
  static constexpr std::string_view name = "activate_backward";
  Activation f;
  RowsOf<T> x;
  RowsOf<T> dy;
  RowsOf<T> dx;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("dy", Access::Read, self.dy);
    operand("dx", Access::Write, self.dx);
  }
};
template <class B>
using ActivateBackward = ActivateBackwardOf<typename B::Scalar>;

/// y = x · mask / (1 - rate), or y = x without a mask. Its own backward. y may be x.
template <class T>
struct DropoutOf {
  static constexpr std::string_view name = "dropout";
  RowsOf<T> x;
  DropoutMask mask;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("x", Access::Read, self.x);
    operand("y", Access::Write, self.y);
  }
};
template <class B>
using Dropout = DropoutOf<typename B::Scalar>;

/// y = residual + dropout(x). y may be x or residual.
template <class T>
struct ResidualDropoutOf {
  static constexpr std::string_view name = "residual_dropout";
  RowsOf<T> residual;
  RowsOf<T> x;
  DropoutMask mask;
  RowsOf<T> y;

  static void visit(auto& self, auto&& operand) {
    operand("residual", Access::Read, self.residual);
    operand("x", Access::Read, self.x);
    operand("y", Access::Write, self.y);
  }
};
template <class B>
using ResidualDropout = ResidualDropoutOf<typename B::Scalar>;

template <class T>
using ElementwiseOperations =
    OperationList<AddOf<T>, ScaleOf<T>, MultiplyOf<T>, MultiplyBackwardOf<T>, ScaleGroupsOf<T>,
                  ScaleGroupsBackwardOf<T>, ActivateOf<T>, ActivateBackwardOf<T>, DropoutOf<T>, ResidualDropoutOf<T>>;

}  // namespace neural_attention::ops
