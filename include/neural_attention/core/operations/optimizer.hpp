// Optimizer steps, and the norm for clipping. Matrices are flat views [1, n] of the parameter store; a StepOutcome lies
// in memory of the backend.
#pragma once

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::ops {

/// Returns Σ x², a double, summed in a fixed order. Not finite if any element is not. Waits for it.
template <class T>
struct SquaredNormOf {
  static constexpr std::string_view name = "squared_norm";
  using Result = double;
  RowsOf<RealOf<T>> x;

  static void visit(auto& self, auto&& operand) { operand("x", Role::Read, self.x); }
};
template <class B>
using SquaredNorm = SquaredNormOf<typename B::Scalar>;

/// The rest of `outcome`, whose losses are there: the gradient's squared norm, the scale that clips its norm to `limit`
/// (0: no clipping), and whether all is finite.
template <class T>
struct ClippingOf {
  static constexpr std::string_view name = "clipping";
  RowsOf<RealOf<T>> gradient;
  double limit;
  StepOutcome* outcome;

  static void visit(auto& self, auto&& operand) {
    operand("gradient", Role::Read, self.gradient);
    operand("outcome", Role::Update, self.outcome);
  }
};
template <class B>
using Clipping = ClippingOf<typename B::Scalar>;

/// With g the gradient, scaled as `outcome` says, m and v the moments and t the step:
/// m = β₁ m + (1-β₁) g,  v = β₂ v + (1-β₂) g²,  value -= lr / (1-β₁ᵗ) · m / (√v / √(1-β₂ᵗ) + ε); weight decay as
/// AdamStep says. Nothing changes where the outcome is not finite.
template <class T>
struct AdamOf {
  static constexpr std::string_view name = "adam";
  AdamStep how;
  RowsOf<RealOf<T>> gradient;
  RowsOf<RealOf<T>> value;
  RowsOf<RealOf<T>> first_moment;
  RowsOf<RealOf<T>> second_moment;
  const StepOutcome* outcome;

  static void visit(auto& self, auto&& operand) {
    operand("gradient", Role::Read, self.gradient);
    operand("value", Role::Update, self.value);
    operand("first_moment", Role::Update, self.first_moment);
    operand("second_moment", Role::Update, self.second_moment);
    operand("outcome", Role::Read, self.outcome);
  }
};
template <class B>
using Adam = AdamOf<typename B::Scalar>;

/// With g the gradient, scaled as `outcome` says, plus weight decay, and μ the momentum: velocity = μ velocity + g,
/// value -= lr · velocity, or with Nesterov value -= lr · (g + μ velocity). The velocity is all zeros before the first
/// step; it may be none where the momentum is 0. Nothing changes where the outcome is not finite.
template <class T>
struct SgdOf {
  static constexpr std::string_view name = "sgd";
  SgdStep how;
  RowsOf<RealOf<T>> gradient;
  RowsOf<RealOf<T>> value;
  RowsOf<RealOf<T>> velocity = {};
  const StepOutcome* outcome;

  static void visit(auto& self, auto&& operand) {
    operand("gradient", Role::Read, self.gradient);
    operand("value", Role::Update, self.value);
    operand("velocity", Role::Update, self.velocity);
    operand("outcome", Role::Read, self.outcome);
  }
};
template <class B>
using Sgd = SgdOf<typename B::Scalar>;

template <class T>
using OptimizerOperations = OperationList<SquaredNormOf<T>, ClippingOf<T>, AdamOf<T>, SgdOf<T>>;

}  // namespace neural_attention::ops
