// From the flags of a training run to the library's options, every value checked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/ranges.hpp"
#include "common/training_options.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/batches.hpp"
#include "neural_attention/train/trainer.hpp"

namespace examples {

namespace na = neural_attention;

template <class B>
using TrainingOptimizer = na::OptimizerChoice<B, na::Adam, na::Sgd>;

inline na::Schedule::Kind schedule_named(const std::string& name) {
  using Kind = na::Schedule::Kind;
  if (name == "linear") return Kind::Linear;
  if (name == "cosine") return Kind::Cosine;
  if (name == "constant" || name == "constant_with_warmup") return Kind::Constant;
  if (name == "inverse_sqrt") return Kind::InverseSquareRoot;
  throw na::ConfigError("there is no schedule '" + name + "'; known are linear, cosine, constant, inverse_sqrt");
}

inline std::vector<na::RateRule> rate_rules(const TrainingOptions& flags) {
  std::vector<na::RateRule> rules;
  for (const auto& pattern : flags.freeze) rules.push_back({pattern, 0.0});
  for (const auto& rule : flags.learning_rate_for) {
    const auto equals = rule.rfind('=');
    const auto factor = equals == std::string::npos ? std::nullopt : number_in<double>(rule.substr(equals + 1));
    if (!factor || !at_least(0).contains(*factor))
      throw na::ConfigError("--learning_rate_for needs PATTERN=FACTOR with a number " + at_least(0).words() +
                            " for a factor, not '" + rule + "'");
    rules.push_back({rule.substr(0, equals), *factor});
  }
  return rules;
}

template <class B>
typename TrainingOptimizer<B>::Options optimizer_options(const TrainingOptions& flags) {
  if (flags.optim == "sgd")
    return na::SgdOptions{flags.momentum, flags.nesterov, flags.weight_decay, rate_rules(flags)};
  if (flags.optim != "adamw" && flags.optim != "adam")
    throw na::ConfigError("there is no optimizer '" + flags.optim + "'; known are adamw, adam, sgd");
  return na::AdamOptions{flags.adam_beta1,   flags.adam_beta2,       flags.adam_epsilon,
                         flags.weight_decay, flags.optim == "adamw", rate_rules(flags)};
}

/// Whether a run evaluates, and so needs validation text. Throws ConfigError where flags contradict each other.
inline bool evaluates(const TrainingOptions& flags) {
  const auto fault = [&](const std::string& flag) {
    throw na::ConfigError("--eval_strategy " + flags.eval_strategy + " and " + flag + " contradict each other");
  };
  if (flags.eval_strategy == "steps" && flags.eval_steps <= 0)
    throw na::ConfigError("--eval_strategy steps needs --eval_steps");
  if (flags.eval_strategy == "epoch" && flags.eval_steps > 0) fault("--eval_steps " + std::to_string(flags.eval_steps));
  if (flags.eval_strategy != "no") return true;
  if (flags.eval_steps > 0) fault("--eval_steps " + std::to_string(flags.eval_steps));
  if (flags.early_stopping_patience > 0)
    fault("--early_stopping_patience " + std::to_string(flags.early_stopping_patience));
  if (flags.eval_on_start) fault("--eval_on_start");
  return false;
}

inline na::TrainerOptions trainer_options(const TrainingOptions& flags) {
  if (flags.num_train_epochs == 0.0 && flags.max_steps <= 0)
    throw na::ConfigError("--num_train_epochs 0 trains nothing; give --max_steps, or epochs above 0");
  na::TrainerOptions options;
  options.step.learning_rate = flags.learning_rate;
  constexpr long usual_warmup = 400;
  const bool by_share = flags.warmup_ratio && flags.warmup_steps.value_or(0) == 0;
  if (by_share) options.warmup_ratio = *flags.warmup_ratio;
  options.step.schedule = {schedule_named(flags.lr_scheduler_type),
                           by_share ? 0 : flags.warmup_steps.value_or(usual_warmup), 0};
  options.step.label_smoothing = flags.label_smoothing_factor;
  options.step.max_gradient_norm = flags.max_grad_norm;
  options.step.seed = flags.seed;
  options.epochs = flags.num_train_epochs;
  options.max_steps = flags.max_steps;
  options.accumulation = flags.gradient_accumulation_steps;
  options.eval_steps = flags.eval_steps;
  options.save_steps = flags.save_steps;
  options.save_total_limit = flags.save_total_limit;
  options.patience = flags.early_stopping_patience;
  options.output_dir = flags.output_dir;
  return options;
}

/// `preferred` (one of its two sizes is positive) where the flags leave the size open.
inline na::text::BatchOptions batch_options(const BatchSizeOptions& flags, BatchSizeOptions preferred,
                                            std::uint64_t seed) {
  if (flags.per_device_train_batch_size > 0 && flags.mini_batch_words > 0)
    throw na::ConfigError("give --per_device_train_batch_size or --mini_batch_words, not both");
  if (flags.per_device_train_batch_size > 0 || flags.mini_batch_words > 0) preferred = flags;
  na::text::BatchOptions options;
  options.sentences = preferred.per_device_train_batch_size;
  if (options.sentences == 0) options.tokens = preferred.mini_batch_words;
  options.seed = seed;
  return options;
}

/// What defines a run beside what Trainer knows of: `more` is what a program adds.
inline na::RunIdentity run_identity(const TrainingOptions& flags, const na::text::BatchOptions& batches,
                                    const na::RunIdentity& more) {
  const auto joined = [](const std::vector<std::string>& patterns) {
    std::string text;
    for (const auto& pattern : patterns) text += (text.empty() ? "" : " ") + pattern;
    return text;
  };
  na::RunIdentity run;
  run.set("per_device_train_batch_size", batches.sentences);
  run.set("mini_batch_words", batches.tokens);
  run.set("optim", flags.optim);
  run.set("weight_decay", flags.weight_decay);
  if (flags.optim == "sgd") {
    run.set("momentum", flags.momentum);
    run.set("nesterov", flags.nesterov);
  } else {
    run.set("adam_beta1", flags.adam_beta1);
    run.set("adam_beta2", flags.adam_beta2);
    run.set("adam_epsilon", flags.adam_epsilon);
  }
  run.set("freeze", joined(flags.freeze));
  run.set("learning_rate_for", joined(flags.learning_rate_for));
  run.set("dtype", flags.compute.dtype);
  run.set(more);
  return run;
}

/// As batches of an evaluation: in the order of the text.
inline na::text::BatchOptions in_order(na::text::BatchOptions options) {
  options.shuffle = false;
  return options;
}

}  // namespace examples
