// How long a training run is: the steps that follow from its options and its data.
#pragma once

#include <algorithm>
#include <cmath>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/trainer/trainer_options.hpp"

namespace neural_attention {

/// The optimizer steps of `epochs` passes over the data. A part of an epoch has its part of the steps, rounded up as
/// Hugging Face does; what an inexact product has too much, such as 0.07 · 100, does not count. Epochs may have
/// different numbers of batches: the first hundred are counted, and the others are assumed to be similar. Throws
/// ConfigError if the number is too large to count.
template <TrainingData Data>
long planned_steps(Data& data, double epochs, int accumulation) {
  constexpr int counted_epochs = 100;
  constexpr double most_steps = 1e15, error = 1e-9;
  const auto of_part = [&](double part, double steps) { return static_cast<long>(std::ceil((part - error) * steps)); };
  long total = 0;
  double left = epochs;
  for (int epoch = 0; left > error && epoch < counted_epochs; ++epoch, left -= 1.0) {
    data.begin_epoch(epoch);
    const auto steps = (static_cast<long>(data.batches()) + accumulation - 1) / accumulation;
    total += std::max(1L, left < 1.0 ? of_part(left, static_cast<double>(steps)) : steps);
  }
  if (!(left > error)) return total;
  const double each = static_cast<double>(total) / counted_epochs, whole = std::floor(left + error);
  if (!(left * each < most_steps))
    throw ConfigError("training for so many epochs takes more steps than can be counted");
  return total + static_cast<long>(whole * each) + std::max(0L, of_part(left - whole, each));
}

/// The options of a run over these data: max_steps, the end of the schedule and its warm-up are numbers of steps.
/// `validation` may be null. Throws ConfigError if options make no sense together, the training or validation data have
/// no batch, or both are the same object.
template <TrainingData Data>
TrainerOptions with_lengths(TrainerOptions options, Data& training, Data* validation) {
  require_ranges(options);
  if (!(options.epochs > 0.0) && options.max_steps <= 0)
    throw ConfigError("training needs epochs or max_steps above 0");
  if (!validation && options.patience > 0)
    throw ConfigError("early stopping needs validation data: it compares evaluations");
  if (validation == &training)
    throw ConfigError("training and evaluation need a data object each: an evaluation begins an epoch of its own");
  training.begin_epoch(0);
  if (training.batches() == 0) throw ConfigError("training needs data, but there is no batch");
  if (validation) {
    validation->begin_epoch(0);
    if (validation->batches() == 0) throw ConfigError("evaluation needs data, but there is no batch");
  }
  if (options.max_steps <= 0) options.max_steps = planned_steps(training, options.epochs, options.accumulation);
  auto& schedule = options.step.schedule;
  if (schedule.total_steps <= 0) schedule.total_steps = options.max_steps;
  if (options.warmup_ratio > 0.0)  // as Hugging Face rounds
    schedule.warmup_steps = static_cast<long>(std::ceil(double(options.max_steps) * options.warmup_ratio));
  return options;
}

}  // namespace neural_attention
