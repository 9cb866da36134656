// Perplexity = exp(mean loss in nats over the tokens that are predicted). Two means are in use:
//   by tokens     Σ loss / Σ tokens. With fixed masks this is a function of model and text alone: the default here.
//   by sequences  each sequence counts as the mean of its batch, as in Hugging Face's Trainer, whose run_mlm also draws
//                 new masks for every evaluation. It depends on the size of batches.
#pragma once

#include <cmath>
#include <string>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/loss_sum.hpp"
#include "neural_attention/core/number_text.hpp"

namespace neural_attention::metrics {

enum class LossMean { Tokens, Sequences };

/// exp(loss); infinite if it exceeds double, as in run_mlm. Throws NumericError if `loss` is not finite.
inline double perplexity(double loss) {
  if (!std::isfinite(loss)) throw NumericError("perplexity needs a finite loss, not " + number_text(loss));
  return std::exp(loss);
}

/// Collects the losses of batches, without label smoothing.
class MeanLoss {
 public:
  explicit MeanLoss(LossMean mean = LossMean::Tokens) : mean_(mean) {}

  /// Adds a batch of `sequences`. Throws ConfigError if it has no token or no sequence, NumericError if its loss is not
  /// finite, and then adds nothing.
  void add(const LossSum& batch, int sequences) {
    if (batch.tokens <= 0 || sequences <= 0)
      throw ConfigError("a mean loss needs at least one token and one sequence in each batch, not " +
                        std::to_string(batch.tokens) + " and " + std::to_string(sequences));
    if (!std::isfinite(batch.negative_log_likelihood))
      throw NumericError("the loss of a batch is not finite but " + number_text(batch.negative_log_likelihood));
    const double mean = batch.negative_log_likelihood / double(batch.tokens);
    sum_ += mean_ == LossMean::Tokens ? batch.negative_log_likelihood : mean * sequences;
    count_ += mean_ == LossMean::Tokens ? batch.tokens : sequences;
  }

  /// In nats. Throws ConfigError without a batch.
  double loss() const {
    if (count_ == 0) throw ConfigError("the mean loss of no tokens is undefined");
    return sum_ / double(count_);
  }
  double perplexity() const { return metrics::perplexity(loss()); }

 private:
  LossMean mean_;
  double sum_ = 0.0;
  long count_ = 0;
};

}  // namespace neural_attention::metrics
