// A training run of the programs: its start, the run with progress bar, log and signals, and its final line. Its exit
// code is 0, or 128 + the signal that stopped it.
#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "common/interruption.hpp"
#include "common/model_agreement.hpp"
#include "common/model_choice.hpp"
#include "common/output_directory.hpp"
#include "common/progress.hpp"
#include "common/run_group.hpp"
#include "common/standard_streams.hpp"
#include "common/training_config.hpp"
#include "common/training_log.hpp"

namespace examples {

/// Everything that the program can check before it reads any text.
struct RunPlan {
  na::TrainerOptions trainer;
  na::AnyOptimizerOptions optimizer;
  bool evaluates;
  OutputDirectory output;
  std::string checkpoint = {};  ///< to resume from; empty: a new run
  std::string origin = {};      ///< a model directory: the checkpoint, --model, or empty for a new model

  bool begins_with_model() const { return checkpoint.empty() && !origin.empty(); }
  /// The seed of the weights, unless they will be loaded.
  std::optional<std::uint64_t> initial_seed() const {
    return origin.empty() ? std::optional(trainer.step.seed) : std::nullopt;
  }
};

/// All settings of a model's config, its projectors included.
template <class Config>
na::RunIdentity settings_of_model(const Config& config) {
  auto all = na::settings_of(config, [](const na::Knob&) { return true; });
  na::for_each_named_projector(
      [&](const std::string& role, const na::ProjectorConfig& projector) {
        all.set("projector of " + role, projector.type + ", " + std::to_string(projector.hidden_columns()) + " wide");
      },
      config);
  return all;
}

/// The values of these flags that a checkpoint keeps. If the run `resumes`, leaves out flags that are not given.
inline na::RunIdentity model_identity(const ModelOptions& model, bool resumes) {
  na::RunIdentity run;
  const auto set = [&](const char* name, const std::string& value) {
    if (!resumes || !value.empty()) run.set(name, value);
  };
  std::error_code ignored;
  set("model", model.model.empty() ? "" : std::filesystem::weakly_canonical(model.model, ignored).string());
  set("init_projections", model.init_projections);
  std::string patterns;
  for (const auto& pattern : model.reinitialise) patterns += (patterns.empty() ? "" : " ") + pattern;
  set("reinitialise", patterns);
  const bool says_pieces = model.vocab_size || has_config_file(model) || !resumes;
  if (model.model.empty() && says_pieces) run.set("vocab_size", wanted_vocabulary(model));
  return run;
}

/// `identity` has the values that define the run, in addition to the flags of all programs. Rank 0 says where the run
/// begins; the plans of the other ranks have no output directory.
template <class Family, class Group>
RunPlan plan_run(Group& group, const ModelOptionsOf<typename Family::Config>& model, const TrainingOptions& training,
                 const na::text::BatchOptions& batches, const na::RunIdentity& identity) {
  if (training.output_dir.empty()) throw na::ConfigError("--output_dir is required: the model is written there");
  auto trainer = trainer_options(training);
  trainer.eval_on_start = trainer.eval_on_start || (!model.model.empty() && !training.no_eval_on_start);
  trainer.run = run_identity(training, batches, identity);
  const auto wanted = run_config<Family>(model, wanted_vocabulary(model));
  RunPlan plan{std::move(trainer), optimizer_options(training), evaluates(training),
               OutputDirectory(group.rank() == 0 ? training.output_dir : std::string())};
  if (group.rank() == 0)
    plan.checkpoint = checkpoint_to_resume(
        plan.output, {training.resume_from_checkpoint, training.overwrite_output_dir, model.model});
  plan.checkpoint = text_of_first(group, plan.checkpoint);
  plan.origin = plan.checkpoint.empty() ? model.model : plan.checkpoint;
  plan.trainer.run.set(model_identity(model, !plan.checkpoint.empty()));
  const auto of_origin = [&] { return na::io::load_config<typename Family::Config>(plan.origin + "/config.json"); };
  // Checks the weights before it makes a model of the size that config.json claims.
  if (plan.begins_with_model()) {
    if (na::io::holds_int8(plan.origin))
      throw na::FileError(plan.origin + "/config.json",
                          "says that weights are int8, and such a model cannot be trained");
    require_init_projections(model, of_origin(), wanted);
    na::io::check_model_files<typename Family::Model>(plan.origin, wanted, load_options(model, training.seed));
  }
  if (!plan.checkpoint.empty()) {
    const auto stored = na::read_position(plan.checkpoint + "/" + na::checkpoint_detail::position_file);
    na::require_same_run(stored.run, na::identity_of(plan.trainer), plan.checkpoint);
    require_same_model<Family>(model, of_origin(), plan.checkpoint);
    na::io::check_model_files<typename Family::Model>(plan.checkpoint, of_origin());
  }
  return plan;
}

/// The config of the model to train with this tokenizer.
template <class Family, class Tokenizer>
typename Family::Config planned_config(const ModelOptionsOf<typename Family::Config>& options, const RunPlan& plan,
                                       const Tokenizer& tokenizer) {
  auto config = plan.checkpoint.empty()
                    ? run_config<Family>(options, tokenizer.vocab_size())
                    : na::io::load_config<typename Family::Config>(plan.checkpoint + "/config.json");
  options.given.apply(config);
  if (!plan.origin.empty()) require_fitting(config, tokenizer, plan.origin);
  return config;
}

/// The exit code of a run that was stopped, perhaps on another rank.
inline int stopped(const Interruption& interruption) {
  return interruption.requested() ? interruption.exit_code() : 128 + SIGTERM;
}

/// The metric that evaluations show besides the loss.
struct RunMetric {
  LogNames names;
  std::string title;                                ///< in messages
  std::function<double()> measure = {};             ///< larger is better; called by all ranks together
  std::function<double(double loss)> of_loss = {};  ///< if it follows from the loss; then nothing is measured
};

/// Whether the metric is measured only after the run.
inline bool measured_at_end(const RunMetric& metric) { return metric.measure && !metric.names.at_evaluations; }

/// Writers of the model directory and of the checkpoints.
struct RunFiles {
  std::function<void(const std::string& directory)> describe;  ///< writes everything except the weights
  std::function<void()> save;                                  ///< writes the model at the end
};

/// The part of a rank besides the first: it trains and measures, and shows and writes nothing.
template <class Trainer>
int follow_run(Trainer& trainer, const std::string& checkpoint, const RunMetric& metric, bool evaluates) {
  if (!checkpoint.empty()) trainer.resume(checkpoint);
  const Interruption interruption;
  trainer.callbacks().on_step = [&](const na::StepEvent&) { return !interruption.requested(); };
  if (trainer.run().cancelled) return stopped(interruption);
  if (evaluates && measured_at_end(metric)) metric.measure();
  return 0;
}

/// `validation` is null if the run does not evaluate.
template <class Group, class Model, class Data>
int run_training(Group& group, typename Model::Backend& backend, Model& model, Data& training, Data* validation,
                 const TrainingOptions& options, const RunPlan& plan, const std::string& label, const RunMetric& metric,
                 const RunFiles& files) {
  const bool shown = metric.names.at_evaluations;
  const auto value_of = [&](double loss, double measured) { return metric.of_loss ? metric.of_loss(loss) : measured; };

  // The callbacks use the progress bar, the log and the signals, which are made when nothing else can fail.
  std::optional<Progress> progress;
  std::optional<TrainingLog> log;
  std::optional<Interruption> interruption;
  // The first step removes the checkpoints and the log of an earlier run that this run does not continue. Until then,
  // the run may still fail because of its data, its numbers or its memory.
  bool clears = !plan.output.has_checkpoint(plan.checkpoint);
  const auto own_directory = [&] {
    if (std::exchange(clears, false)) plan.output.remove_run();
    log->begin();
  };
  na::TrainerCallbacks callbacks;
  callbacks.write_more = files.describe;
  if (shown) callbacks.metric = metric.measure;
  callbacks.on_step = [&](const na::StepEvent& event) {
    own_directory();
    const double loss = event.result.loss.smoothed / double(event.result.loss.tokens);
    progress->update(event.step, {{"loss", fixed(loss, 3)},
                                  {"lr", scientific(event.result.learning_rate)},
                                  {"tok/s", compact(event.tokens_per_second)}});
    if (options.logging_steps > 0 && event.step % options.logging_steps == 0) log->add(event);
    return !interruption->requested();
  };
  using Optimizer = na::AnyOptimizer<typename Model::Backend>;
  na::Trainer<Model, Data, Optimizer, Group> trainer(backend, model, training, validation, plan.trainer, plan.optimizer,
                                                     std::move(callbacks), group);
  auto identity = settings_of_model(model.config());
  identity.set(trainer.position().run);
  require_same_on_all(group, std::move(identity), plan.trainer, engine_of(backend, options.compute.precision()));
  if (group.rank() != 0) return follow_run(trainer, plan.checkpoint, metric, validation != nullptr);
  if (!plan.checkpoint.empty()) trainer.resume(plan.checkpoint);

  const auto& position = trainer.position();
  log.emplace(options.output_dir, label, metric.names, plan.output.has_log_of(plan.checkpoint) ? position.step : 0,
              position.evaluation_due);
  // set after construction because the event needs the trainer's clock
  trainer.callbacks().on_evaluation = [&](const na::EvaluationEvent& event) {
    if (event.step > 0) own_directory();
    const double value = value_of(event.loss, event.metric);
    const auto fault = log->add(event, value, trainer.position().seconds);
    progress->message("step " + std::to_string(event.step) + "  valid loss " + fixed(event.loss, 4) +
                      (shown ? "  " + metric.title + " " + fixed(value, 2) : "") + (event.best ? "  (best)" : ""));
    if (!fault.empty()) progress->message(fault);
  };
  progress.emplace(trainer.total_steps(), label);
  progress->start_at(trainer.position().step);

  interruption.emplace();  // before, there is nothing to save, and a signal ends the program at once
  const auto summary = trainer.run();
  progress->finish();
  if (summary.cancelled) {
    std::fprintf(stderr, "interrupted; continue with --resume_from_checkpoint %s/%s\n", options.output_dir.c_str(),
                 na::checkpoint_name(summary.steps).c_str());
    return stopped(*interruption);
  }
  own_directory();
  if (summary.best_is_gone)
    std::fprintf(stderr,
                 "%s: the checkpoint of the best evaluation, step %ld, is gone; the model has the weights of the last "
                 "step\n",
                 options.output_dir.c_str(), position.best_step);
  files.save();
  const auto finish_log = [&](std::optional<double> value) {
    if (const auto fault = log->finish(label, model.parameters().count(), options.seed, summary, value); !fault.empty())
      std::fprintf(stderr, "%s\n", fault.c_str());
  };
  if (!validation) {
    finish_log(std::nullopt);
    print_formatted("final steps=%ld %s=%.0f\n", summary.steps, metric.names.speed.c_str(), summary.tokens_per_second);
    return 0;
  }
  const double measured = measured_at_end(metric) ? metric.measure() : summary.valid_metric;
  const double value = value_of(summary.valid_loss, measured);
  finish_log(value);
  print_formatted("final valid_loss=%.4f valid_%s=%.2f %s=%.0f\n", summary.valid_loss, metric.names.metric.c_str(),
                  value, metric.names.speed.c_str(), summary.tokens_per_second);
  return 0;
}

}  // namespace examples
