// Optimizer steps, and the norm for clipping. Matrices are flat views [1, n] of the parameter store; a StepOutcome lies
// in memory of the backend.
#pragma once

#include <array>
#include <cstddef>

#include "neural_attention/core/operations/operation.hpp"
#include "neural_attention/core/update_rules.hpp"

namespace neural_attention::ops {

/// Returns Σ x², a double, summed in a fixed order. Not finite if any element is not. Waits for it.
template <class T>
struct SquaredNormOf {
  static constexpr std::string_view name = "squared_norm";
  using Result = double;
  RowsOf<RealOf<T>> x;

  static void visit(auto& self, auto&& operand) { operand("x", Access::Read, self.x); }
};
template <class B>
using SquaredNorm = SquaredNormOf<typename B::Scalar>;

/// The rest of `outcome`, whose losses are there: the gradient's squared norm, the scale that clips its norm to `limit`
/// (0: no clipping), and whether all is finite.
template <class T>
struct ClippingOf {
  static constexpr std::string_view name = "clipping";
  RowsOf<RealOf<T>> gradient;  ///< not read with has_norm
  double limit;
  StepOutcome* outcome;
  bool has_norm = false;  ///< the squared norm is there as well

  static void visit(auto& self, auto&& operand) {
    operand("gradient", Access::Read, self.gradient);
    operand("outcome", Access::Update, self.outcome);
  }
};
template <class B>
using Clipping = ClippingOf<typename B::Scalar>;

/// One step of an update rule (core/update_rules.hpp): with the gradient, scaled as `outcome` says, it changes each
/// value and its moments, which are as many as the rule has and all zeros before the first step. Nothing changes where
/// the outcome is not finite.
template <class T, class Rule>
struct UpdateOf {
  static constexpr std::string_view name = Rule::name;
  Rule rule;
  RowsOf<RealOf<T>> gradient;
  RowsOf<RealOf<T>> value;
  std::array<RowsOf<RealOf<T>>, Rule::moments.size()> moments = {};
  const StepOutcome* outcome;

  static void visit(auto& self, auto&& operand) {
    operand("gradient", Access::Read, self.gradient);
    operand("value", Access::Update, self.value);
    std::size_t next = 0;
    for (auto& moment : self.moments) operand(Rule::moments[next++], Access::Update, moment);
    operand("outcome", Access::Read, self.outcome);
  }
};
template <class B, class Rule>
using Update = UpdateOf<typename B::Scalar, Rule>;

template <class T, class... Rules>
constexpr OperationList<UpdateOf<T, Rules>...> updates_by(UpdateRuleList<Rules...>) {
  return {};
}

template <class T>
using OptimizerOperations = decltype(OperationList<SquaredNormOf<T>, ClippingOf<T>>() + updates_by<T>(UpdateRules()));

}  // namespace neural_attention::ops
