// Label-smoothed cross-entropy of logits [n, classes] that all exist at once, for heads with few classes. TiedOutput,
// whose classes are a vocabulary, makes them chunk by chunk.
#pragma once

#include <span>

#include "neural_attention/core/loss_sum.hpp"
#include "neural_attention/core/pass.hpp"

namespace neural_attention {

/// Writes or adds the sums of the loss to `outcome` as `into` says. Where gradient_scale is not zero, the logits are
/// replaced by gradient_scale · their gradient.
template <class B>
void cross_entropy(const Pass<B>& pass, Rows<B> logits, std::span<const int> targets, double smoothing,
                   double gradient_scale, Into into, StepOutcome* outcome) {
  const ArenaScope scope(pass.scratch);
  const auto losses = pass.scratch.template rows<typename B::Real>(logits.rows, 2);
  pass.backend(ops::CrossEntropy<B>{.logits = logits,
                                    .targets = targets,
                                    .smoothing = smoothing,
                                    .gradient_scale = gradient_scale,
                                    .losses = losses});
  pass.backend(ops::SumLosses<B>{.losses = losses, .into = into, .outcome = outcome});
}

/// The loss alone: waits for it.
template <class B>
LossSum cross_entropy(const Pass<B>& pass, Rows<B> logits, std::span<const int> targets, double smoothing) {
  const ArenaScope scope(pass.scratch);
  StepOutcome* const outcome = pass.scratch.template rows<StepOutcome>(1, 1).data;
  cross_entropy(pass, logits, targets, smoothing, 0.0, Into::Write, outcome);
  pass.backend.start_reading(outcome);
  const auto found = pass.backend.finish_reading();
  return {found.smoothed_loss, found.negative_log_likelihood, logits.rows};
}

}  // namespace neural_attention
