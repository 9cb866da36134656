// The flags of a training run: where it goes, how it learns, how often it evaluates and saves. Names are Hugging Face's
// where it has one, Marian's for --mini_batch_words.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "common/compute.hpp"

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
  long warmup_steps = 400;
  double weight_decay = 0.01, adam_beta1 = 0.9, adam_beta2 = 0.98, adam_epsilon = 1e-8, momentum = 0.9;
  bool nesterov = false;
  std::string optim = "adamw";
  double max_grad_norm = 1.0, label_smoothing_factor = 0.0;
  double num_train_epochs = 10;
  long max_steps = 0;
  int gradient_accumulation_steps = 1;
  long eval_steps = 0, save_steps = 0, logging_steps = 50;
  int save_total_limit = 2, early_stopping_patience = 0;
  bool eval_on_start = false, no_eval_on_start = false;
  std::vector<std::string> freeze = {}, learning_rate_for = {};
  std::uint64_t seed = 42;
  Compute compute = {};
};

/// What makes training fit into a GPU.
inline constexpr const char* less_memory_in_training =
    "take smaller batches (--mini_batch_words, --per_device_train_batch_size) or recompute activations "
    "(--gradient_checkpointing)";

inline void add_batch_flags(CLI::App& app, BatchSizeOptions& options, const char* by_sentences, const char* by_tokens) {
  app.add_option("--per_device_train_batch_size", options.per_device_train_batch_size, by_sentences)->group("Data");
  app.add_option("--mini_batch_words", options.mini_batch_words, by_tokens)->group("Data");
}

inline void add_training_flags(CLI::App& app, TrainingOptions& options) {
  const auto option = [&](const char* name, auto& value, const char* help) {
    app.add_option(name, value, help)->group("Training")->capture_default_str();
  };
  app.add_option("--output_dir", options.output_dir, "Where the model, checkpoints, metrics and curves go")
      ->group("Training");
  app.add_option("--resume_from_checkpoint", options.resume_from_checkpoint,
                 "A checkpoint directory, or 'last' for the newest one in --output_dir")
      ->group("Training");
  app.add_flag("--overwrite_output_dir", options.overwrite_output_dir, "Begin anew where checkpoints exist")
      ->group("Training");
  option("--learning_rate", options.learning_rate, "Peak learning rate");
  option("--lr_scheduler_type", options.lr_scheduler_type, "linear, cosine, constant or inverse_sqrt");
  option("--warmup_steps", options.warmup_steps, "Steps from 0 to the peak");
  option("--optim", options.optim, "adamw, adam or sgd (weight decay as an L2 term in the latter two)");
  option("--weight_decay", options.weight_decay, "On matrices only");
  option("--adam_beta1", options.adam_beta1, "Decay of the first moment");
  option("--adam_beta2", options.adam_beta2, "Decay of the second moment");
  option("--adam_epsilon", options.adam_epsilon, "Added to the root of the second moment");
  option("--momentum", options.momentum, "Of sgd; 0: none");
  app.add_flag("--nesterov", options.nesterov, "Nesterov's momentum for sgd")->group("Training");
  option("--max_grad_norm", options.max_grad_norm, "Clip gradients to this global norm; 0: never");
  option("--label_smoothing_factor", options.label_smoothing_factor, "Share of the target spread over the vocabulary");
  option("--num_train_epochs", options.num_train_epochs, "Passes over the data");
  option("--max_steps", options.max_steps, "Optimizer steps instead; 0: epochs count");
  option("--gradient_accumulation_steps", options.gradient_accumulation_steps, "Batches of one optimizer step");
  option("--eval_steps", options.eval_steps, "Steps between evaluations; 0: each epoch");
  option("--save_steps", options.save_steps, "Steps between checkpoints beside those of the evaluations; 0: none");
  option("--logging_steps", options.logging_steps, "Steps between lines of metrics.jsonl");
  option("--save_total_limit", options.save_total_limit, "Checkpoints kept beside the best; 0: all");
  option("--early_stopping_patience", options.early_stopping_patience,
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
  option("--seed", options.seed, "Of initial weights, data order and dropout");
  add_compute_flags(app, options.compute, "Training");
}

}  // namespace examples
