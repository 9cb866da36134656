// The flags of a training run: where it goes, how it learns, how often it evaluates and saves. Names are Hugging Face's
// where it has one, Marian's for --mini_batch_words.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/compute.hpp"
#include "common/ranges.hpp"

namespace examples {

/// Both 0: as the program likes.
struct BatchSizeOptions {
  int per_device_train_batch_size = 0;
  int mini_batch_words = 0;
};

struct TrainingOptions {
  std::string output_dir = {};
  std::string resume_from_checkpoint = {};
  bool overwrite_output_dir = false;
  double learning_rate = 1e-3;
  std::string lr_scheduler_type = "linear";
  std::optional<long> warmup_steps = {};
  std::optional<double> warmup_ratio = {};
  double weight_decay = 0.01, adam_beta1 = 0.9, adam_beta2 = 0.98, adam_epsilon = 1e-8, momentum = 0.9;
  bool nesterov = false;
  std::string optim = "adamw";
  double max_grad_norm = 1.0, label_smoothing_factor = 0.0;
  double num_train_epochs = 10;
  long max_steps = 0;
  int gradient_accumulation_steps = 1;
  std::string eval_strategy = {};  // no, epoch, steps; empty: as eval_steps says
  long eval_steps = 0, save_steps = 0, logging_steps = 50;
  int save_total_limit = 2, early_stopping_patience = 0;
  bool eval_on_start = false, no_eval_on_start = false;
  std::vector<std::string> freeze = {}, learning_rate_for = {};
  std::uint64_t seed = 42;
  Compute compute = {};
};

/// More would only be waited for: the steps of so many epochs can still be counted.
inline constexpr double most_epochs = 1e9;

/// What makes training fit into a GPU.
inline constexpr const char* less_memory_in_training =
    "take smaller batches (--mini_batch_words, --per_device_train_batch_size) or recompute activations "
    "(--gradient_checkpointing)";

inline void add_batch_flags(CLI::App& app, BatchSizeOptions& options, const char* by_sentences, const char* by_tokens) {
  app.add_option("--per_device_train_batch_size", options.per_device_train_batch_size, by_sentences)
      ->transform(integer(1))
      ->group("Data");
  app.add_option("--mini_batch_words", options.mini_batch_words, by_tokens)->transform(integer(0))->group("Data");
}

inline void add_training_flags(CLI::App& app, TrainingOptions& options) {
  const auto option = [&](const char* name, auto& value, const char* help) {
    return app.add_option(name, value, help)->group("Training")->capture_default_str();
  };
  const auto count = [&](const char* name, auto& value, int least, const char* help) {
    option(name, value, help)->transform(integer(least));
  };
  const auto real = [&](const char* name, auto& value, const Interval& range, const char* help) {
    option(name, value, help)->transform(number(range));
  };
  app.add_option("--output_dir", options.output_dir, "Where the model, checkpoints, metrics and curves go")
      ->group("Training");
  app.add_option("--resume_from_checkpoint", options.resume_from_checkpoint,
                 "A checkpoint directory; 'last': the newest one in --output_dir; 'auto': the same where there is one, "
                 "else a new run")
      ->group("Training");
  app.add_flag("--overwrite_output_dir", options.overwrite_output_dir,
               "Begin anew where --output_dir holds checkpoints or a model")
      ->group("Training");
  real("--learning_rate", options.learning_rate, at_least(0), "Peak learning rate");
  option("--lr_scheduler_type", options.lr_scheduler_type, "linear, cosine, constant or inverse_sqrt");
  count("--warmup_steps", options.warmup_steps, 0, "Steps from 0 to the peak [400, or as --warmup_ratio says]");
  real("--warmup_ratio", options.warmup_ratio, from_to(0, 1),
       "Share of all steps from 0 to the peak, rounded up; --warmup_steps above 0 counts before it");
  option("--optim", options.optim, "adamw, adam or sgd (weight decay as an L2 term in the latter two)");
  real("--weight_decay", options.weight_decay, at_least(0), "On matrices only");
  real("--adam_beta1", options.adam_beta1, from_below(0, 1), "Decay of the first moment");
  real("--adam_beta2", options.adam_beta2, from_below(0, 1), "Decay of the second moment");
  real("--adam_epsilon", options.adam_epsilon, above(0), "Added to the root of the second moment");
  real("--momentum", options.momentum, from_below(0, 1), "Of sgd; 0: none");
  app.add_flag("--nesterov", options.nesterov, "Nesterov's momentum for sgd")->group("Training");
  real("--max_grad_norm", options.max_grad_norm, at_least(0), "Clip gradients to this global norm; 0: never");
  real("--label_smoothing_factor", options.label_smoothing_factor, from_below(0, 1),
       "Share of the target spread over the vocabulary");
  real("--num_train_epochs", options.num_train_epochs, from_to(0, most_epochs), "Passes over the data");
  count("--max_steps", options.max_steps, -1, "Optimizer steps instead; 0 or -1: epochs count");
  count("--gradient_accumulation_steps", options.gradient_accumulation_steps, 1, "Batches of one optimizer step");
  app.add_option("--eval_strategy", options.eval_strategy,
                 "no: train without validation text, to the last step; epoch or steps: evaluate so often [as "
                 "--eval_steps says]")
      ->check(CLI::IsMember({"no", "epoch", "steps"}))
      ->group("Training");
  count("--eval_steps", options.eval_steps, 0, "Steps between evaluations; 0: each epoch");
  count("--save_steps", options.save_steps, 0,
        "Steps between checkpoints beside those of the evaluations; 0: none or, without evaluations, each epoch");
  count("--logging_steps", options.logging_steps, 0, "Steps between lines of metrics.jsonl; 0: none");
  count("--save_total_limit", options.save_total_limit, -1, "Checkpoints kept beside the best; 0 or -1: all");
  count("--early_stopping_patience", options.early_stopping_patience, 0,
        "Evaluations without gain before the run ends; 0: never");
  auto* const evaluate = app.add_flag("--eval_on_start", options.eval_on_start,
                                      "Evaluate before the first step as well; always so with --model")
                             ->group("Training");
  app.add_flag("--no_eval_on_start", options.no_eval_on_start, "Not even with --model")
      ->excludes(evaluate)
      ->group("Training");
  app.add_option("--freeze", options.freeze, "Parameters that stay as they are: patterns with * and ?, may be repeated")
      ->group("Training");
  app.add_option("--learning_rate_for", options.learning_rate_for,
                 "PATTERN=FACTOR: these parameters learn at FACTOR times the rate; may be repeated")
      ->group("Training");
  option("--seed", options.seed, "Of initial weights, data order and dropout")->transform(seed_number());
  add_compute_flags(app, options.compute, "Training");
}

}  // namespace examples
