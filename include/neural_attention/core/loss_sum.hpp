// Sums of the loss over the tokens of batches, on the host.
#pragma once

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// Sums over the target tokens of a batch; divide by `tokens` for means, in nats.
struct LossSum {
  double smoothed = 0.0;                 ///< what is minimised
  double negative_log_likelihood = 0.0;  ///< -Σ log p(target)
  long tokens = 0;

  LossSum& operator+=(const LossSum& other) {
    smoothed += other.smoothed;
    negative_log_likelihood += other.negative_log_likelihood;
    tokens += other.tokens;
    return *this;
  }
};

}  // namespace neural_attention
