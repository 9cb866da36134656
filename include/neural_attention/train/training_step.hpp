// One optimizer step: gradients of the mean loss over all target tokens of its parts, clipping by the global norm, and
// Adam or another optimizer. A step cut into parts (gradient accumulation) has the same gradient as the undivided
// batch. Nothing waits for the device until the caller asks for the result. The ranks of a group (train/group.hpp) each
// compute parts of the same step, and all of them get the same parameters.
#pragma once

#include <cassert>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/model_contracts.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/train/gradient_sums.hpp"
#include "neural_attention/train/group.hpp"
#include "neural_attention/train/optimizers.hpp"
#include "neural_attention/train/schedules.hpp"
#include "neural_attention/train/whole_optimizer.hpp"

namespace neural_attention {

struct StepOptions {
  double learning_rate = 5e-5;
  Schedule schedule = {};
  double label_smoothing = 0.0;
  double max_gradient_norm = 1.0;  ///< 0: no clipping
  std::uint64_t seed = 42;         ///< of the dropout masks
  /// Each rank of a group keeps the optimizer's moments of its share of the parameters alone, and updates these.
  bool shard_optimizer = false;

  static void knobs(auto&& use, auto&... options) {
    constexpr const char* group = "Training";
    use(Knob("learning_rate", "Peak learning rate", at_least(0)).flag(group).kept(), options.learning_rate...);
    use(Knob("label_smoothing_factor", "Share of the target spread over the vocabulary", from_below(0, 1))
            .flag(group)
            .kept(),
        options.label_smoothing...);
    use(Knob("max_grad_norm", "Clip gradients to this global norm; 0: never", at_least(0)).flag(group).kept(),
        options.max_gradient_norm...);
    use(Knob("seed", "Seed of initial weights, data order and dropout").flag(group), options.seed...);
    use(Knob("shard_optimizer", "Under mpirun: each rank keeps only its share of the optimizer's moments").flag(group),
        options.shard_optimizer...);
  }

  /// Throws ConfigError, which names the first value that makes no sense.
  void validate() const {
    require_ranges(*this);
    schedule.validate();
  }
};

struct StepResult {
  LossSum loss;
  double gradient_norm = 0.0;  ///< before clipping, of what is not frozen
  double learning_rate = 0.0;
};

template <class Model, class O = Adam<typename Model::Backend>, class G = Alone>
class TrainingStep {
 public:
  using B = typename Model::Backend;
  static_assert(Optimizer<O, B>);
  static_assert(Group<G, B>);

  /// The group must outlive this. Throws ConfigError if an option makes no sense or the model was made for inference.
  TrainingStep(B& backend, Model& model, StepOptions options, typename O::Options optimizer, G& group = alone_group);

  /// Starts a step and returns; a device may still be working on it. `parts` is an array of batches whose places say
  /// where each begins; they may change after the call. Throws ConfigError if they have no labels.
  template <class Batch>
  void launch(std::span<Batch> parts);

  /// The same for the ranks of a group: `parts` are this rank's, perhaps none (train/step_share.hpp), and all
  /// ranks' parts have `labels` labels.
  template <class Batch>
  void launch(std::span<Batch> parts, long labels);

  /// Waits for the step that was launched, once for each launch; otherwise, the next launch or evaluation waits.
  /// If the loss or the gradient of what is not frozen is not finite, throws NumericError, and the step has not changed
  /// parameters and moments. A device may still be updating the parameters: operations of this backend see the new
  /// ones, operations of another backend, such as a Translator's, only after evaluate(), settle() or a download here.
  StepResult result();

  /// Waits until the parameters are as the operations so far leave them, also for other backends.
  void settle();

  /// Both in one.
  template <class Batch>
  StepResult run(std::span<Batch> parts);

  /// The sums of the loss over one batch. Waits for them. Changes neither parameters nor gradients.
  template <class Batch>
  LossSum evaluate(const Batch& batch, double label_smoothing = 0.0);

  /// Whether each rank holds its share of the optimizer's moments alone.
  bool sharded() const {
    if constexpr (is_alone<G>)
      return false;
    else
      return sums_.sharded();
  }
  /// Calls use(optimizer) with the optimizer or, if sharded, a WholeOptimizer: to save its moments, and to load them.
  /// All ranks call them together; if sharded, rank 0 alone has moments there.
  void save_optimizer(auto&& use);
  void load_optimizer(auto&& use);

  O& optimizer() { return optimizer_; }
  const O& optimizer() const { return optimizer_; }
  PassMemory<B>& memory() { return memory_; }

 private:
  struct NoSums {
    NoSums(const ParameterStore<B>&, G&, bool) {}
  };
  using Sums = std::conditional_t<is_alone<G>, NoSums, GradientSums<B, G>>;

  /// Where a model can tell that a batch would teach it what decoding never asks.
  template <class Batch>
  void check_targets(const Batch& batch) const {
    if constexpr (requires { model_->check_targets(batch); }) model_->check_targets(batch);
  }

  static O make_optimizer(B& backend, const ParameterStore<B>& store, typename O::Options options, const Sums& sums);
  /// What the optimizer never changes has no gradient, as in PyTorch: it neither counts in the norm nor has to be
  /// finite.
  void clear_frozen_gradients();
  [[noreturn]] void throw_not_finite(const StepResult& result);
  GradientWatch* watch() {
    if constexpr (is_alone<G>)
      return nullptr;
    else
      return &sums_;
  }
  StepOutcome* outcome() const { return static_cast<StepOutcome*>(outcome_.data()); }

  B* backend_;
  Model* model_;
  G* group_;
  StepOptions options_;
  [[no_unique_address]] Sums sums_;
  O optimizer_;
  PassMemory<B> memory_;
  typename Model::Saved saved_;
  typename B::Memory outcome_;
  StepResult launched_;  // without the outcome's values
  bool waiting_ = false;
};

template <class Model, class O, class G>
TrainingStep<Model, O, G>::TrainingStep(B& backend, Model& model, StepOptions options, typename O::Options optimizer,
                                        G& group)
    : backend_(&backend),
      model_(&model),
      group_(&group),
      options_((options.validate(), options)),
      sums_(model.parameters(), group, options.shard_optimizer),
      optimizer_(make_optimizer(backend, model.parameters(), std::move(optimizer), sums_)),
      memory_(backend),
      outcome_(backend.allocate(sizeof(StepOutcome))) {}

template <class Model, class O, class G>
O TrainingStep<Model, O, G>::make_optimizer(B& backend, const ParameterStore<B>& store, typename O::Options options,
                                            [[maybe_unused]] const Sums& sums) {
  if constexpr (!is_alone<G>)
    if (sums.sharded()) {
      if constexpr (ShardableOptimizer<O, B>) return O(backend, store, std::move(options), sums.held());
      throw ConfigError("shard_optimizer is set, but this optimizer cannot hold a share of its moments");
    }
  return O(backend, store, std::move(options));
}

template <class Model, class O, class G>
void TrainingStep<Model, O, G>::save_optimizer(auto&& use) {
  if constexpr (!is_alone<G>)
    if (sharded()) {
      WholeOptimizer<B, O, G> whole(*backend_, model_->parameters(), optimizer_, sums_, group_->rank());
      whole.gather();
      return use(whole);
    }
  use(optimizer_);
}

template <class Model, class O, class G>
void TrainingStep<Model, O, G>::load_optimizer(auto&& use) {
  if constexpr (!is_alone<G>)
    if (sharded()) {
      WholeOptimizer<B, O, G> whole(*backend_, model_->parameters(), optimizer_, sums_, group_->rank());
      use(whole);
      return whole.scatter();
    }
  use(optimizer_);
}

template <class Model, class O, class G>
template <class Batch>
void TrainingStep<Model, O, G>::launch(std::span<Batch> parts) {
  static_assert(is_alone<G>, "in a group, launch() and run() need the number of labels in all parts of the step");
  long labels = 0;
  for (const auto& part : parts) labels += static_cast<long>(part.labels.size());
  launch(parts, labels);
}

template <class Model, class O, class G>
template <class Batch>
void TrainingStep<Model, O, G>::launch(std::span<Batch> parts, long labels) {
  static_assert(sizeof(CheckTrainable<Model, std::remove_const_t<Batch>>));
  if (waiting_) result();
  for (const auto& part : parts) check_targets(part);
  if (labels == 0) throw ConfigError("a training step needs at least one target token");
  auto& store = model_->parameters();
  store.zero_gradients();
  const auto passes = [&] {
    for (const auto& part : parts) {
      const auto begun = memory_.begin_training(options_.seed, static_cast<std::uint32_t>(optimizer_.steps()));
      const auto pass = begun.watched_by(&part == &parts.back() ? watch() : nullptr);
      const Into into = &part == parts.data() ? Into::Write : Into::Add;
      model_->loss_and_gradient(pass, part, options_.label_smoothing, 1.0 / double(labels), into, outcome(), saved_);
    }
  };
  if constexpr (is_alone<G>) {
    passes();
    clear_frozen_gradients();
  } else {
    sums_.begin(*backend_, store);
    try {
      passes();
      sums_.finish(outcome(), !parts.empty(), [this] { clear_frozen_gradients(); });
    } catch (...) {
      sums_.abandon();
      throw;
    }
  }
  (*backend_)(ops::Clipping<B>{
      .gradient = store.gradients(), .limit = options_.max_gradient_norm, .outcome = outcome(), .has_norm = sharded()});
  backend_->start_reading(outcome());
  launched_ = {};
  launched_.loss.tokens = labels;
  launched_.learning_rate = options_.learning_rate * options_.schedule.factor(optimizer_.steps());
  optimizer_.update(store, launched_.learning_rate, outcome());
  if constexpr (!is_alone<G>) sums_.gather(*backend_, store.values());
  store.refresh();
  waiting_ = true;
}

template <class Model, class O, class G>
StepResult TrainingStep<Model, O, G>::result() {
  assert(waiting_);
  waiting_ = false;
  const auto read = backend_->finish_reading();
  auto step = launched_;
  step.loss.smoothed = read.smoothed_loss;
  step.loss.negative_log_likelihood = read.negative_log_likelihood;
  step.gradient_norm = std::sqrt(read.squared_norm);
  if (read.finite) return step;
  optimizer_.set_steps(optimizer_.steps() - 1);
  throw_not_finite(step);
}

template <class Model, class O, class G>
void TrainingStep<Model, O, G>::settle() {
  if (waiting_) result();
  typename B::Real number;
  (*backend_)(ops::DownloadOf<typename B::Real>{.x = model_->parameters().values().columns(0, 1),
                                                .values = std::span(&number, 1)});
}

template <class Model, class O, class G>
template <class Batch>
StepResult TrainingStep<Model, O, G>::run(std::span<Batch> parts) {
  launch(parts);
  return result();
}

template <class Model, class O, class G>
template <class Batch>
LossSum TrainingStep<Model, O, G>::evaluate(const Batch& batch, double label_smoothing) {
  static_assert(sizeof(CheckTrainable<Model, Batch>));
  if (waiting_) result();
  check_targets(batch);
  const auto pass = memory_.begin_inference();
  return model_->loss(pass, batch, label_smoothing, saved_);
}

template <class Model, class O, class G>
void TrainingStep<Model, O, G>::clear_frozen_gradients() {
  if constexpr (requires { optimizer_.frozen(); })
    for (const auto& range : optimizer_.frozen())
      (*backend_)(ops::FillOf<typename B::Real>{.x = model_->parameters().gradients().columns(range.first, range.count),
                                                .value = typename B::Real(0)});
}

template <class Model, class O, class G>
void TrainingStep<Model, O, G>::throw_not_finite(const StepResult& result) {
  const auto number = std::to_string(optimizer_.steps() + 1);
  const auto& store = model_->parameters();
  if constexpr (!is_alone<G>) {
    if (const int first = group_->first_not_finite(); first >= 0)
      throw NumericError("step " + number + ": the loss is not finite on " + group_->name(first));
    sums_.gather(*backend_, store.gradients());  // so that all ranks find the same
  }
  for (const auto& entry : store.entries()) {
    if (!entry.trained) continue;
    if (!std::isfinite((*backend_)(ops::SquaredNorm<B>{.x = store.value(entry)})))
      throw NumericError("step " + number + ": the parameter " + entry.name + " is not finite");
  }
  for (const auto& entry : store.entries())
    if (entry.trained && !std::isfinite((*backend_)(ops::SquaredNorm<B>{.x = store.gradient(entry)})))
      throw NumericError("step " + number + ": the gradient of " + entry.name + " is not finite (loss " +
                         number_text(result.loss.smoothed) + ")");
  throw NumericError("step " + number + ": the loss is not finite, or the gradient's norm overflows");
}

}  // namespace neural_attention
