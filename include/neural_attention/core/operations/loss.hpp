// The loss of logits. A StepOutcome lies in memory of the backend.
#pragma once

#include <span>

#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::ops {

/// Label-smoothed cross-entropy of logits [n, vocabulary] + bias [1, vocabulary] (or no bias):
/// losses_i = (1-ε)·(-log p[target_i]) + ε·mean_j(-log p[j]), where ε is the smoothing. If gradient_scale is not zero,
/// gradient_scale · ∂losses_i/∂logits replaces the logits. losses [n, 2] holds the smoothed loss and the plain -log
/// p[target].
template <class T>
struct CrossEntropyOf {
  static constexpr std::string_view name = "cross_entropy";
  RowsOf<T> logits;
  RowsOf<T> bias = {};
  std::span<const int> targets;
  double smoothing = 0.0;
  double gradient_scale = 0.0;
  RowsOf<RealOf<T>> losses;

  static void visit(auto& self, auto&& operand) {
    operand("logits", self.gradient_scale == 0.0 ? Access::Read : Access::Update, self.logits);
    operand("bias", Access::Read, self.bias);
    operand("targets", Access::Read, self.targets);
    operand("losses", Access::Write, self.losses);
  }
};
template <class B>
using CrossEntropy = CrossEntropyOf<typename B::Scalar>;

/// The losses of `outcome` = column sums of losses [n, 2], or += …, in double in a fixed order.
template <class T>
struct SumLossesOf {
  static constexpr std::string_view name = "sum_losses";
  RowsOf<RealOf<T>> losses;
  Into into = Into::Write;
  StepOutcome* outcome;

  static void visit(auto& self, auto&& operand) {
    operand("losses", Access::Read, self.losses);
    operand("outcome", Access::Update, self.outcome);
  }
};
template <class B>
using SumLosses = SumLossesOf<typename B::Scalar>;

template <class T>
using LossOperations = OperationList<CrossEntropyOf<T>, SumLossesOf<T>>;

}  // namespace neural_attention::ops
