// A training run as the programs make it: where it begins, the run itself with progress bar, log and signals, and the
// line in which it ends. Its exit code is 0, or 128 + the signal that stopped it.
#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "common/interruption.hpp"
#include "common/model_choice.hpp"
#include "common/progress.hpp"
#include "common/standard_streams.hpp"
#include "common/training_config.hpp"
#include "common/training_log.hpp"

namespace examples {

/// The checkpoint to continue from, or "" for a new run. Refuses to overwrite an earlier run unasked.
inline std::string checkpoint_to_resume(const TrainingOptions& options) {
  const auto steps = na::list_checkpoints(options.output_dir);
  if (options.resume_from_checkpoint == "last") {
    if (steps.empty()) throw na::FileError(options.output_dir, "holds no checkpoint to resume from");
    return options.output_dir + "/" + na::checkpoint_name(steps.back());
  }
  if (options.resume_from_checkpoint.empty() && !steps.empty() && !options.overwrite_output_dir)
    throw na::ConfigError(options.output_dir +
                          " holds the checkpoints of an earlier run; continue it with "
                          "--resume_from_checkpoint last, or begin anew with --overwrite_output_dir");
  return options.resume_from_checkpoint;
}

/// All that can be known, and refused, before any text is read.
struct RunPlan {
  na::TrainerOptions trainer;
  TrainingOptimizer<Backend>::Options optimizer;
  std::string checkpoint;  ///< to go on with; empty: a new run
  std::string origin;      ///< a model directory: the checkpoint, --model, or empty for a new model

  bool begins_with_model() const { return checkpoint.empty() && !origin.empty(); }
  /// Of the weights, where they are not going to be loaded.
  std::optional<std::uint64_t> initial_seed() const {
    return origin.empty() ? std::optional(trainer.step.seed) : std::nullopt;
  }
};

template <class Family>
RunPlan plan_run(const ModelOptions& model, const TrainingOptions& training) {
  if (training.output_dir.empty()) throw na::ConfigError("--output_dir is needed: it is where the model goes");
  RunPlan plan{trainer_options(training), optimizer_options<Backend>(training), {}, {}};
  plan.trainer.eval_on_start = training.eval_on_start || (!model.model.empty() && !training.no_eval_on_start);
  const auto wanted = run_config<Family>(model, wanted_vocabulary(model));
  plan.checkpoint = checkpoint_to_resume(training);
  plan.origin = plan.checkpoint.empty() ? model.model : plan.checkpoint;
  if (plan.begins_with_model())
    require_init_projections(model, na::io::load_config<typename Family::Config>(plan.origin + "/config.json"), wanted);
  return plan;
}

/// Makes the output directory; a run that begins anew leaves no checkpoint of an earlier one, which a later
/// --resume_from_checkpoint last would take for its own.
inline void prepare_output(const TrainingOptions& options, const RunPlan& plan) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(options.output_dir, error);
  if (error) throw na::FileError(options.output_dir, "cannot be created: " + error.message());
  if (!plan.checkpoint.empty()) return;
  for (const long step : na::list_checkpoints(options.output_dir))
    fs::remove_all(fs::path(options.output_dir) / na::checkpoint_name(step), error);
}

/// The config of the model that is trained, whose tokenizer has `vocabulary` pieces.
template <class Family>
typename Family::Config planned_config(const ModelOptions& options, const RunPlan& plan, int vocabulary) {
  auto config = plan.checkpoint.empty()
                    ? run_config<Family>(options, vocabulary)
                    : na::io::load_config<typename Family::Config>(plan.checkpoint + "/config.json");
  config.gradient_checkpointing = options.gradient_checkpointing;
  return fitting(config, plan.origin, vocabulary);
}

/// What the evaluations of a run show beside the loss.
struct RunMetric {
  LogNames names;
  std::string title;                                ///< in messages
  std::function<double()> measure = {};             ///< larger is better
  std::function<double(double loss)> of_loss = {};  ///< where it follows from the loss, and nothing is measured
};

/// What makes a model directory of the run's output and of its checkpoints.
struct RunFiles {
  std::function<void(const std::string& directory)> describe;  ///< writes all but the weights
  std::function<void()> save;                                  ///< writes the model at the end
};

template <class Model, class Data>
int run_training(typename Model::Backend& backend, Model& model, Data& training, Data& validation,
                 const TrainingOptions& options, const RunPlan& plan, const std::string& label, const RunMetric& metric,
                 const RunFiles& files) {
  const bool shown = metric.names.at_evaluations;
  const auto value_of = [&](double loss, double measured) { return metric.of_loss ? metric.of_loss(loss) : measured; };

  // The callbacks speak to the progress bar and the log, which need the trainer's numbers first.
  std::optional<Progress> progress;
  std::optional<TrainingLog> log;
  std::optional<Interruption> interruption;
  na::TrainerCallbacks callbacks;
  callbacks.write_more = files.describe;
  if (shown) callbacks.metric = metric.measure;
  callbacks.on_step = [&](const na::StepEvent& event) {
    const double loss = event.result.loss.smoothed / double(event.result.loss.tokens);
    progress->update(event.step, {{"loss", fixed(loss, 3)},
                                  {"lr", scientific(event.result.learning_rate)},
                                  {"tok/s", compact(event.tokens_per_second)}});
    if (options.logging_steps > 0 && event.step % options.logging_steps == 0) log->add(event);
    return !interruption->requested();
  };
  using Optimizer = TrainingOptimizer<typename Model::Backend>;
  na::Trainer<Model, Data, Optimizer> trainer(backend, model, training, validation, plan.trainer, plan.optimizer,
                                              std::move(callbacks));
  if (!plan.checkpoint.empty()) trainer.resume(plan.checkpoint);
  // set after construction because the event needs the trainer's clock
  log.emplace(options.output_dir, label, metric.names, trainer.position().step);
  trainer.callbacks().on_evaluation = [&](const na::EvaluationEvent& event) {
    const double value = value_of(event.loss, event.metric);
    log->add(event, value, trainer.position().seconds);
    progress->message("step " + std::to_string(event.step) + "  valid loss " + fixed(event.loss, 4) +
                      (shown ? "  " + metric.title + " " + fixed(value, 2) : "") + (event.best ? "  (best)" : ""));
  };
  progress.emplace(trainer.total_steps(), label);
  progress->start_at(trainer.position().step);

  interruption.emplace();  // before, there is nothing to save, and a signal ends the program at once
  const auto summary = trainer.run();
  progress->finish();
  if (summary.cancelled) {
    std::fprintf(stderr, "interrupted; continue with --resume_from_checkpoint %s/%s\n", options.output_dir.c_str(),
                 na::checkpoint_name(summary.steps).c_str());
    return interruption->exit_code();
  }
  files.save();
  const double measured = shown || !metric.measure ? summary.valid_metric : metric.measure();
  const double value = value_of(summary.valid_loss, measured);
  log->finish(label, model.parameters().count(), options.seed, summary, value);
  print_formatted("final valid_loss=%.4f valid_%s=%.2f %s=%.0f\n", summary.valid_loss, metric.names.metric.c_str(),
                  value, metric.names.speed.c_str(), summary.tokens_per_second);
  return 0;
}

}  // namespace examples
