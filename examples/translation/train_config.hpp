// From flags to the library's options, every value checked.
#pragma once

#include <string>

#include "common/any_model.hpp"
#include "neural_attention/text/load_corpus.hpp"
#include "neural_attention/text/translation_data.hpp"
#include "neural_attention/train/trainer.hpp"
#include "translation/options.hpp"

namespace examples {

/// A target is empty where its source is a .tsv with both sides.
struct CorpusPaths {
  std::string train_source, train_target, validation_source, validation_target;
};

/// Files given one by one win over those of --data.
inline CorpusPaths corpus_paths(const DataOptions& options) {
  const auto find = [&](const std::string& given, const char* part, const std::string& language, const char* flag) {
    if (!given.empty()) return given;
    if (options.data.empty())
      throw na::ConfigError(std::string("no training text: give --data DIR, or ") + flag +
                            " FILE and its three others");
    return na::text::find_text_file(options.data, std::string(part) + "." + language);
  };
  const auto target = [&](const std::string& source, const std::string& given, const char* part, const char* flag) {
    const bool both = given.empty() && na::text::corpus_format(source) == na::text::CorpusFormat::Tsv;
    return both ? std::string() : find(given, part, options.target_lang, flag);
  };
  CorpusPaths paths;
  paths.train_source = find(options.train_source, "train", options.source_lang, "--train_source");
  paths.train_target = target(paths.train_source, options.train_target, "train", "--train_target");
  paths.validation_source = find(options.validation_source, "valid", options.source_lang, "--validation_source");
  paths.validation_target = target(paths.validation_source, options.validation_target, "valid", "--validation_target");
  return paths;
}

/// Sets what the flags say of projectors; roles that they leave open stay as they are. The paper's arrangement for one
/// name: `neural` leaves the value projection linear.
inline void choose_projectors(const ModelOptions& options, na::MarianConfig& config) {
  const std::array projectors = {&config.query, &config.key, &config.value, &config.output};
  constexpr std::size_t value_role = 2;
  const bool plain = options.projector.starts_with("plain_");
  for (std::size_t role = 0; role < projectors.size(); ++role) {
    if (!options.roles[role].empty())
      projectors[role]->type = options.roles[role];
    else if (!options.projector.empty())
      projectors[role]->type = role == value_role && !plain ? "linear" : options.projector;
    if (options.expansion > 0) projectors[role]->expansion = options.expansion;
    const AnyProjector<Backend> known(*projectors[role]);  // throws where there is no such type
  }
}

/// The config that the flags describe, for a new model with `vocabulary` pieces.
inline na::MarianConfig model_config(const ModelOptions& options, int vocabulary) {
  na::MarianConfig config;
  if (options.config == "small")
    config = na::marian_small(vocabulary);
  else if (options.config == "base")
    config = na::marian_base(vocabulary);
  else
    config = na::io::marian_config(na::io::read_json(options.config), options.config, na::marian_base(vocabulary));
  config.vocab_size = vocabulary;
  config.pad_token_id = vocabulary - 1;
  config.eos_token_id = 0;
  return config;
}

/// The config of a run: of --model or a new one, with what the flags change.
inline na::MarianConfig run_config(const ModelOptions& options, int vocabulary) {
  auto config = options.model.empty() ? model_config(options, vocabulary)
                                      : na::io::load_marian_config(options.model + "/config.json");
  choose_projectors(options, config);
  if (options.dropout >= 0.0) config.dropout = options.dropout;
  config.gradient_checkpointing = options.gradient_checkpointing;
  config.validate();
  return config;
}

inline na::Schedule::Kind schedule_named(const std::string& name) {
  using Kind = na::Schedule::Kind;
  if (name == "linear") return Kind::Linear;
  if (name == "cosine") return Kind::Cosine;
  if (name == "constant" || name == "constant_with_warmup") return Kind::Constant;
  if (name == "inverse_sqrt") return Kind::InverseSquareRoot;
  throw na::ConfigError("there is no schedule '" + name + "'; known are linear, cosine, constant, inverse_sqrt");
}

using TrainingOptimizer = na::OptimizerChoice<Backend, na::Adam, na::Sgd>;

inline std::vector<na::RateRule> rate_rules(const TrainOptions& flags) {
  std::vector<na::RateRule> rules;
  for (const auto& pattern : flags.freeze) rules.push_back({pattern, 0.0});
  for (const auto& rule : flags.learning_rate_for) {
    const auto equals = rule.rfind('=');
    char* end = nullptr;
    const double factor = equals == std::string::npos ? 0.0 : std::strtod(rule.c_str() + equals + 1, &end);
    if (equals == std::string::npos || end == rule.c_str() + equals + 1 || *end != '\0' || factor < 0.0)
      throw na::ConfigError("--learning_rate_for needs PATTERN=FACTOR, not '" + rule + "'");
    rules.push_back({rule.substr(0, equals), factor});
  }
  return rules;
}

inline TrainingOptimizer::Options optimizer_options(const TrainOptions& flags) {
  if (flags.optim == "sgd")
    return na::SgdOptions{flags.momentum, flags.nesterov, flags.weight_decay, rate_rules(flags)};
  if (flags.optim != "adamw" && flags.optim != "adam")
    throw na::ConfigError("there is no optimizer '" + flags.optim + "'; known are adamw, adam, sgd");
  return na::AdamOptions{flags.adam_beta1,   flags.adam_beta2,       flags.adam_epsilon,
                         flags.weight_decay, flags.optim == "adamw", rate_rules(flags)};
}

inline na::TrainerOptions trainer_options(const TrainOptions& flags) {
  na::TrainerOptions options;
  options.step.learning_rate = flags.learning_rate;
  options.step.schedule = {schedule_named(flags.lr_scheduler_type), flags.warmup_steps, 0};
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

inline na::text::BatchOptions batch_options(const TrainOptions& flags) {
  if (flags.data.per_device_train_batch_size > 0 && flags.data.mini_batch_words > 0)
    throw na::ConfigError("give --per_device_train_batch_size or --mini_batch_words, not both");
  na::text::BatchOptions options;
  options.sentences = flags.data.per_device_train_batch_size;
  if (options.sentences == 0) options.tokens = flags.data.mini_batch_words > 0 ? flags.data.mini_batch_words : 1200;
  options.seed = flags.seed;
  return options;
}

}  // namespace examples
