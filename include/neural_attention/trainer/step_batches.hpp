// StepBatches: the batches of an optimizer step and, made in advance, those of the next one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "neural_attention/core/observer.hpp"
#include "neural_attention/trainer/trainer_options.hpp"

namespace neural_attention {

/// Of the epoch that the data have begun. A step has `accumulation` batches; the last one of an epoch may have fewer.
template <TrainingData Data>
class StepBatches {
 public:
  using Batch = typename Data::Batch;

  /// The data must outlive this.
  StepBatches(Data& data, int accumulation) : data_(&data), accumulation_(accumulation) {}

  /// Forgets what was made: another epoch has begun.
  void restart() { made_ = 0; }

  /// Those of the step that begins with batch `first`. Valid until at() is called again.
  std::span<Batch> at(long first) {
    if (made_ == 0) prepare(first);
    std::swap(now_, next_);
    return std::span(now_).first(static_cast<std::size_t>(std::exchange(made_, 0)));
  }

  /// Makes those of the step that begins with batch `first`, which at() returns next: none behind the last batch.
  void prepare(long first) {
    const HostWork work("making batches");
    made_ = std::min<long>(accumulation_, static_cast<long>(data_->batches()) - first);
    for (long i = 0; i < made_; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (i == std::ssize(next_)) next_.push_back(data_->empty_batch());
      data_->fill(static_cast<std::size_t>(first + i), next_[at]);
      if (i > 0) next_[at].follow(next_[at - 1]);
    }
  }

 private:
  Data* data_;
  long accumulation_;
  std::vector<Batch> now_, next_;
  long made_ = 0;  ///< how many of next_ are
};

}  // namespace neural_attention
