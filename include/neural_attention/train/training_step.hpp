// One optimizer step: gradients of the mean loss over all target tokens of its parts, clipping by the global norm,
// Adam or another optimizer. A step cut into parts (gradient accumulation) has the same gradient as the undivided
// batch.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/nn/tied_output.hpp"
#include "neural_attention/train/optimizers.hpp"
#include "neural_attention/train/schedules.hpp"

namespace neural_attention {

struct StepOptions {
  double learning_rate = 5e-5;
  Schedule schedule = {};
  double label_smoothing = 0.0;
  double max_gradient_norm = 1.0;  ///< 0: no clipping
  std::uint64_t seed = 42;         ///< of the dropout masks
};

struct StepResult {
  LossSum loss;
  double gradient_norm = 0.0;  ///< before clipping
  double learning_rate = 0.0;
};

template <class Model, class O = Adam<typename Model::Backend>>
class TrainingStep {
 public:
  using B = typename Model::Backend;
  static_assert(Optimizer<O, B>);

  TrainingStep(B& backend, Model& model, StepOptions options, typename O::Options optimizer);

  /// The parts of one step, an array of batches whose first_… members say where each begins. Throws NumericError, and
  /// leaves parameters and moments as they were, where the loss or a gradient is not finite.
  template <class Batch>
  StepResult run(std::span<Batch> parts);

  /// Sums of the loss over one batch; parameters and gradients are left alone.
  template <class Batch>
  LossSum evaluate(const Batch& batch, double label_smoothing = 0.0);

  O& optimizer() { return optimizer_; }
  const O& optimizer() const { return optimizer_; }
  StepMemory<B>& memory() { return memory_; }

 private:
  [[noreturn]] void throw_not_finite(const StepResult& result);

  B* backend_;
  Model* model_;
  StepOptions options_;
  O optimizer_;
  StepMemory<B> memory_;
  typename Model::Saved saved_;
};

template <class Model, class O>
TrainingStep<Model, O>::TrainingStep(B& backend, Model& model, StepOptions options, typename O::Options optimizer)
    : backend_(&backend),
      model_(&model),
      options_(options),
      optimizer_(backend, model.parameters(), std::move(optimizer)),
      memory_(backend) {}

template <class Model, class O>
template <class Batch>
StepResult TrainingStep<Model, O>::run(std::span<Batch> parts) {
  long tokens = 0;
  for (const auto& part : parts) tokens += static_cast<long>(part.labels.size());
  if (tokens == 0) throw ConfigError("a training step needs at least one target token");
  auto& store = model_->parameters();
  store.zero_gradients();
  StepResult result;
  for (const auto& part : parts) {
    auto step = memory_.begin(true, options_.seed, static_cast<std::uint32_t>(optimizer_.steps()));
    result.loss += model_->loss_and_gradient(step, part, options_.label_smoothing, 1.0 / double(tokens), saved_);
  }
  result.gradient_norm = std::sqrt(backend_->squared_norm(store.gradients()));
  if (!std::isfinite(result.loss.smoothed) || !std::isfinite(result.gradient_norm)) throw_not_finite(result);
  result.learning_rate = options_.learning_rate * options_.schedule.factor(optimizer_.steps());
  const double limit = options_.max_gradient_norm;
  const double scale = limit > 0.0 ? std::min(1.0, limit / (result.gradient_norm + 1e-6)) : 1.0;
  optimizer_.update(store, result.learning_rate, scale);
  store.refresh();
  return result;
}

template <class Model, class O>
template <class Batch>
LossSum TrainingStep<Model, O>::evaluate(const Batch& batch, double label_smoothing) {
  auto step = memory_.begin(false);
  return model_->loss(step, batch, label_smoothing, saved_);
}

template <class Model, class O>
void TrainingStep<Model, O>::throw_not_finite(const StepResult& result) {
  const auto number = std::to_string(optimizer_.steps() + 1);
  const auto& store = model_->parameters();
  for (const auto& entry : store.entries()) {
    if (!entry.trained) continue;
    if (!std::isfinite(backend_->squared_norm(store.value(entry))))
      throw NumericError("step " + number + ": the parameter " + entry.name + " is not finite");
  }
  for (const auto& entry : store.entries())
    if (entry.trained && !std::isfinite(backend_->squared_norm(store.gradient(entry))))
      throw NumericError("step " + number + ": the gradient of " + entry.name + " is not finite (loss " +
                         std::to_string(result.loss.smoothed) + ")");
  throw NumericError("step " + number + ": the loss is not finite, or the gradient's norm overflows");
}

}  // namespace neural_attention
