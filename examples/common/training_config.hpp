// From the flags of a training run to the library's options, with checks of every value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/ranges.hpp"
#include "common/training_options.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/named.hpp"
#include "neural_attention/text/data/batches.hpp"
#include "neural_attention/train/optimizers.hpp"
#include "neural_attention/trainer/trainer.hpp"

namespace examples {

namespace na = neural_attention;

/// --freeze comes last: the last match counts, and what is frozen stays so.
inline std::vector<na::RateRule> rate_rules(const TrainingOptions& flags) {
  std::vector<na::RateRule> rules;
  for (const auto& rule : flags.learning_rate_for) {
    const auto equals = rule.rfind('=');
    const auto factor = equals == std::string::npos ? std::nullopt : number_in<double>(rule.substr(equals + 1));
    if (!factor || !at_least(0).contains(*factor))
      throw na::ConfigError("--learning_rate_for needs PATTERN=FACTOR with a number " + at_least(0).words() +
                            " for a factor, not '" + rule + "'");
    rules.push_back({rule.substr(0, equals), *factor});
  }
  for (const auto& pattern : flags.freeze) rules.push_back({pattern, 0.0});
  return rules;
}

/// Throws ConfigError if a flag is given that belongs to other optimizers than `chosen`.
inline void require_flags_of(const na::AnyOptimizerOptions& chosen, const TrainingOptions& flags) {
  const auto has = [](const na::AnyOptimizerOptions& options, std::string_view name) {
    bool found = false;
    std::visit([&](const auto& one) { one.knobs([&](const na::Knob& knob) { found = found || knob.name == name; }); },
               options);
    return found;
  };
  flags.optimizers.knobs([&](const na::Knob& knob) {
    if (!flags.given(knob.name) || has(chosen, knob.name)) return;
    auto owners = na::named_optimizers();
    std::erase_if(owners, [&](const auto& one) { return !has(one.options, knob.name); });
    throw na::ConfigError("--" + std::string(knob.name) + " belongs to --optim " + na::names_in_words(owners) +
                          ", not to --optim " + flags.optim);
  });
}

/// The options of --optim and its flags, for any backend.
inline na::AnyOptimizerOptions optimizer_options(const TrainingOptions& flags) {
  auto options = flags.optimizers.of(flags.optim);
  require_flags_of(options, flags);
  std::visit([&](auto& chosen) { chosen.rates = rate_rules(flags); }, options);
  return options;
}

/// Whether a run evaluates, and so needs validation text. Throws ConfigError if flags contradict each other.
inline bool evaluates(const TrainingOptions& flags) {
  const auto fault = [&](const std::string& flag) {
    throw na::ConfigError("--eval_strategy " + flags.eval_strategy + " and " + flag + " contradict each other");
  };
  const auto eval_steps = flags.trainer.eval_steps;
  const auto patience = flags.trainer.patience;
  if (flags.eval_strategy == "steps" && eval_steps <= 0)
    throw na::ConfigError("--eval_strategy steps needs --eval_steps");
  if (flags.eval_strategy == "epoch" && eval_steps > 0) fault("--eval_steps " + std::to_string(eval_steps));
  if (flags.eval_strategy != "no") return true;
  if (eval_steps > 0) fault("--eval_steps " + std::to_string(eval_steps));
  if (patience > 0) fault("--early_stopping_patience " + std::to_string(patience));
  if (flags.trainer.eval_on_start) fault("--eval_on_start");
  return false;
}

/// The share of the peak at which the rate ends. Throws ConfigError unless it is given where the schedule has it, and
/// only there.
inline double min_lr_rate(const TrainingOptions& flags) {
  const bool given = flags.min_lr || flags.min_lr_rate;
  if (given != (flags.lr_scheduler_type == na::Schedule::Kind::CosineWithMinimum))
    throw na::ConfigError(given ? "--min_lr and --min_lr_rate belong to --lr_scheduler_type cosine_with_min_lr"
                                : "--lr_scheduler_type cosine_with_min_lr needs --min_lr or --min_lr_rate");
  if (!flags.min_lr) return flags.min_lr_rate.value_or(0.0);
  const double peak = flags.trainer.step.learning_rate;
  if (*flags.min_lr > peak)
    throw na::ConfigError("--min_lr " + na::number_text(*flags.min_lr) + " is above --learning_rate " +
                          na::number_text(peak));
  return peak > 0.0 ? *flags.min_lr / peak : 0.0;
}

inline na::TrainerOptions trainer_options(const TrainingOptions& flags) {
  auto options = flags.trainer;
  if (options.epochs == 0.0 && options.max_steps <= 0)
    throw na::ConfigError("--num_train_epochs 0 trains nothing; give --max_steps, or epochs above 0");
  const bool by_share = flags.warmup_ratio && flags.warmup_steps.value_or(0) == 0;
  if (by_share) options.warmup_ratio = *flags.warmup_ratio;
  options.step.schedule = {flags.lr_scheduler_type,
                           by_share ? 0 : flags.warmup_steps.value_or(TrainingOptions::usual_warmup), 0,
                           min_lr_rate(flags)};
  options.output_dir = flags.output_dir;
  return options;
}

inline na::text::BatchOptions batch_options(const BatchSizeOptions& flags, std::uint64_t seed) {
  if (flags.per_device_train_batch_size > 0 && flags.mini_batch_words > 0)
    throw na::ConfigError("give --per_device_train_batch_size or --mini_batch_words, not both");
  na::text::BatchOptions options;
  options.sentences = flags.per_device_train_batch_size;
  if (options.sentences == 0) options.tokens = flags.mini_batch_words > 0 ? flags.mini_batch_words : flags.usual_words;
  options.seed = seed;
  return options;
}

/// The values that define a run, in addition to those that Trainer knows. `more` has the program's own.
inline na::RunIdentity run_identity(const TrainingOptions& flags, const na::text::BatchOptions& batches,
                                    const na::RunIdentity& more) {
  na::RunIdentity run;
  run.set("per_device_train_batch_size", batches.sentences);
  run.set("mini_batch_words", batches.tokens);
  run.set(flags.identity());
  run.set(na::identity_of_optimizer(optimizer_options(flags)));
  run.set(flags.compute.identity());
  run.set(more);
  return run;
}

/// The options of evaluation batches, which are in the order of the text.
inline na::text::BatchOptions in_order(na::text::BatchOptions options) {
  options.shuffle = false;
  return options;
}

}  // namespace examples
