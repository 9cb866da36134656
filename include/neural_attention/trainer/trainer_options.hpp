// The options of a Trainer, and the events and results that it reports.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/train/rule_optimizer.hpp"
#include "neural_attention/train/schedules.hpp"
#include "neural_attention/train/training_step.hpp"
#include "neural_attention/trainer/run_identity.hpp"

namespace neural_attention {

/// Batches of training or validation text. The optional members `sequences_before(index)` and `fingerprint()` say how
/// far an epoch is and which text this is; a checkpoint keeps both.
template <class D>
concept TrainingData = requires(D data, typename D::Batch& batch, std::size_t index, int epoch) {
  data.begin_epoch(epoch);
  { data.batches() } -> std::convertible_to<std::size_t>;
  data.fill(index, batch);
  { data.empty_batch() } -> std::same_as<typename D::Batch>;
  { batch.counted_tokens() } -> std::convertible_to<long>;
};

struct TrainerOptions {
  StepOptions step = {.schedule = {Schedule::Kind::Linear}};  ///< if schedule.total_steps is 0, Trainer fills it in
  double epochs = 3.0;
  double warmup_ratio = 0.0;    ///< if positive, the warm-up's share of all steps, whatever step.schedule says; in the
                                ///< programs and Hugging Face's Trainer, warmup_steps above 0 override the ratio
  long max_steps = 0;           ///< if positive, replaces the number of epochs
  int accumulation = 1;         ///< batches of one optimizer step
  long eval_steps = 0;          ///< 0: at the end of each epoch
  long save_steps = 0;          ///< 0: at every evaluation or, without evaluations, at the end of each epoch
  int save_total_limit = 2;     ///< last checkpoints kept, and the best, which may be one of them; 0: all
  int patience = 0;             ///< evaluations without a better metric before the run ends; 0: never
  bool load_best = true;        ///< end with the parameters of the best evaluation
  bool eval_on_start = false;   ///< also before the first step; not saved, and never the best
  std::string output_dir = {};  ///< empty: nothing is saved
  RunIdentity run = {};         ///< what else defines the run; its checkpoints keep it

  static void knobs(auto&& use, auto&... options) {
    constexpr const char* group = "Training";
    StepOptions::knobs(use, options.step...);
    use(Knob("lr_scheduler_type", "The learning rate after the warm-up").kept(), options.step.schedule.kind...);
    use(Knob("warmup_steps", "Warm-up steps from 0 to the peak", at_least(0)).kept(),
        options.step.schedule.warmup_steps...);
    use(Knob("min_lr_rate", "With cosine_with_min_lr: the last rate as a share of the peak", from_to(0, 1)).kept(),
        options.step.schedule.min_lr_rate...);
    use(Knob("warmup_ratio", "Warm-up as a share of all steps, rounded up", from_to(0, 1)).kept(),
        options.warmup_ratio...);
    use(Knob("num_train_epochs", "Passes over the data", at_least(0)).flag(group), options.epochs...);
    use(Knob("max_steps", "Optimizer steps instead of epochs; 0 or -1: epochs count").flag(group),
        options.max_steps...);
    use(Knob("gradient_accumulation_steps", "Batches of one optimizer step", at_least(1)).flag(group).kept(),
        options.accumulation...);
    use(Knob("eval_steps", "Steps between evaluations; 0: each epoch", at_least(0)).flag(group), options.eval_steps...);
    use(Knob("eval_on_start", "Evaluate before the first step as well").flag(group), options.eval_on_start...);
    use(Knob("save_steps",
             "Steps between checkpoints, in addition to one at each evaluation; 0: none or, without evaluations, each "
             "epoch",
             at_least(0))
            .flag(group),
        options.save_steps...);
    use(Knob("save_total_limit", "Last checkpoints kept, and the best, which may be one of them; 0 or -1: all",
             at_least(-1))
            .flag(group),
        options.save_total_limit...);
    use(Knob("early_stopping_patience", "The run ends after this many evaluations without gain; 0: never", at_least(0))
            .flag(group),
        options.patience...);
  }
};

struct StepEvent {
  long step = 0;
  long total_steps = 0;
  double epoch = 0.0;
  StepResult result;
  double tokens_per_second = 0.0;  ///< as the batches count them, over the whole run so far, without evaluation
};

struct EvaluationEvent {
  long step = 0;
  double epoch = 0.0;
  double loss = 0.0;    ///< mean -log p(target) in nats, without smoothing
  double metric = 0.0;  ///< larger is better
  bool best = false;
};

struct TrainerCallbacks {
  std::function<bool(const StepEvent&)> on_step;  ///< false: save and stop
  /// At evaluations; the default is -loss. All ranks of a group call it, and rank 0's result counts.
  std::function<double()> metric;
  /// Called before the checkpoint of the evaluation is written, so that a kill between the two loses nothing: without
  /// the checkpoint, the evaluation is repeated.
  std::function<void(const EvaluationEvent&)> on_evaluation;
  std::function<void(const std::string& directory)> write_more;  ///< adds files to a checkpoint
};

struct TrainingSummary {
  long steps = 0;
  bool cancelled = false;
  bool stopped_early = false;
  bool best_is_gone = false;  ///< load_best was set, but the best checkpoint is gone: the model has the last parameters
  double valid_loss = 0.0;    ///< of the model's current parameters; 0 without validation data
  double valid_metric = 0.0;  ///< likewise
  double seconds = 0.0;       ///< in training steps
  double tokens_per_second = 0.0;
};

/// The options that change a run's numbers, and the entries of `options.run`.
inline RunIdentity identity_of(const TrainerOptions& options) {
  auto run = kept_settings(options);
  if (options.warmup_ratio > 0.0)
    run.set("warmup_steps", 0L);  // those that follow from it change with the run's length
  run.set(options.run);
  return run;
}

/// The same, and the text of the run, if the data can identify it. `validation` may be null.
template <TrainingData Data>
RunIdentity identity_of(const TrainerOptions& options, const Data& training, const Data* validation) {
  auto run = identity_of(options);
  if constexpr (requires { training.fingerprint(); }) {
    run.set("training data", training.fingerprint());
    run.set("validation data", validation ? validation->fingerprint() : "none");
  }
  return run;
}

/// The settings of an optimizer that change a run's numbers: those of its knobs, whether weight decay is decoupled, and
/// the rules of its rates in their order. Of options without these members, nothing is known.
template <class O>
RunIdentity identity_of_optimizer(const O& options) {
  return optimizer_detail::with_options(options, [](const auto& how) {
    RunIdentity run;
    if constexpr (requires { how.knobs([](const auto&...) {}, how); }) run = kept_settings(how);
    if constexpr (requires {
                    { how.decoupled } -> std::same_as<const bool&>;
                  })
      run.set("decoupled", how.decoupled);
    if constexpr (requires {
                    { how.rates } -> std::same_as<const std::vector<RateRule>&>;
                  }) {
      std::string rates;
      for (const auto& rule : how.rates)
        rates += (rates.empty() ? "" : " ") + rule.pattern + "=" + number_text(rule.factor);
      run.set("rates", rates);
    }
    return run;
  });
}

}  // namespace neural_attention
