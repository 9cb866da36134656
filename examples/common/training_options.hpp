// The flags of a training run: output, training, evaluation and saving, with Hugging Face's names if it has them and
// Marian's for --mini_batch_words. The knobs of TrainerOptions and of the optimizers' options declare their own flags.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/compute.hpp"
#include "common/flags.hpp"
#include "neural_attention/core/named.hpp"
#include "neural_attention/train/optimizers.hpp"
#include "neural_attention/trainer/trainer_options.hpp"

namespace examples {

/// Both 0, as without the flags: batches of `usual_words` tokens.
struct BatchSizeOptions : Flags {
  BatchSizeOptions(const char* by_sentences, const std::string& by_tokens, int usual)
      : Flags("Data"),
        usual_words(usual),
        per_device_train_batch_size(
            flag("per_device_train_batch_size", 0, by_sentences, {.range = at_least(1), .shown = ""})),
        mini_batch_words(flag("mini_batch_words", 0, by_tokens + " [" + std::to_string(usual) + "]",
                              {.range = at_least(1), .shown = ""})) {}

  const int usual_words;
  const int& per_device_train_batch_size;
  const int& mini_batch_words;
};

/// Limits the epochs so that their steps can be counted.
inline constexpr double most_epochs = 1e9;

/// Advice for training that does not fit into a GPU.
inline constexpr const char* less_memory_in_training =
    "take smaller batches (--mini_batch_words, --per_device_train_batch_size) or recompute activations "
    "(--gradient_checkpointing)";

/// "adamw, adam, sgd or lion (weight decay as an L2 term in adam, sgd)".
inline std::string optimizers_in_words() {
  const auto all = na::named_optimizers();
  std::string coupled;
  for (const auto& one : all)
    if (!one.decoupled_decay) coupled.append(coupled.empty() ? "" : ", ").append(one.name);
  return na::names_in_words(all) + " (weight decay as an L2 term in " + coupled + ")";
}

inline const na::AdamOptions usual_adam = {.beta2 = 0.98, .weight_decay = 0.01};

inline na::OptionsOfAll<> usual_optimizers() {
  na::OptionsOfAll<> usual;
  std::get<na::AdamOptions>(usual.options) = usual_adam;
  return usual;
}

struct TrainingOptions : Flags {
  explicit TrainingOptions(double usual_label_smoothing = 0.0)
      : Flags("Training"), label_smoothing(usual_label_smoothing) {}

  static constexpr long usual_warmup = 400;

  const double label_smoothing;  ///< the default
  const std::string& output_dir = flag("output_dir", "", "Where the model, checkpoints, metrics and curves go");
  const std::string& resume_from_checkpoint = flag("resume_from_checkpoint", "",
                                                   "A checkpoint directory; 'last': the newest one in --output_dir; "
                                                   "'auto': the same if there is one, otherwise a new run");
  const bool& overwrite_output_dir =
      flag("overwrite_output_dir", false, "Start over even if --output_dir holds checkpoints or a model");
  const na::Schedule::Kind& lr_scheduler_type = flag(knob("lr_scheduler_type"), na::Schedule::Kind::Linear);
  const std::optional<long>& warmup_steps = flag(knob("warmup_steps"), std::optional<long>(),
                                                 " [" + std::to_string(usual_warmup) + ", or as --warmup_ratio says]");
  const std::optional<double>& warmup_ratio =
      flag(knob("warmup_ratio"), std::optional<double>(), "; --warmup_steps above 0 overrides it");
  const std::optional<double>& min_lr =
      flag("min_lr", std::optional<double>(), "With cosine_with_min_lr: the rate at the end",
           {.range = at_least(0), .excludes = {"min_lr_rate"}});
  const std::optional<double>& min_lr_rate = flag(knob("min_lr_rate"), std::optional<double>());
  const na::TrainerOptions& trainer =
      knobs(na::TrainerOptions{.step = {.learning_rate = 1e-3, .label_smoothing = label_smoothing}, .epochs = 10.0},
            {.narrower = {{"num_train_epochs", from_to(0, most_epochs)}, {"max_steps", at_least(-1)}}});
  const std::string& optim =
      flag("optim", std::string(na::named_optimizers().front().name), optimizers_in_words(), {.kept = true});
  const na::OptionsOfAll<>& optimizers = knobs(usual_optimizers());
  const std::string& eval_strategy = flag("eval_strategy", "",
                                          "no: train to the last step without validation text; epoch or steps: how "
                                          "often to evaluate [as --eval_steps says]",
                                          {.among = {"no", "epoch", "steps"}});
  const bool& no_eval_on_start =
      flag("no_eval_on_start", false, "Do not evaluate before the first step, as runs with --model do by default",
           {.excludes = {"eval_on_start"}});
  const long& logging_steps =
      flag("logging_steps", 50L, "Steps between lines of metrics.jsonl; 0: none", {.range = at_least(0)});
  const std::vector<std::string>& freeze =
      flag("freeze", std::vector<std::string>(),
           "Parameters that stay as they are, even if --learning_rate_for names them: patterns with * and ?, may be "
           "repeated",
           {.kept = true});
  const std::vector<std::string>& learning_rate_for =
      flag("learning_rate_for", std::vector<std::string>(),
           "PATTERN=FACTOR: these parameters learn at FACTOR times the rate; may be repeated", {.kept = true});
  SharedCompute compute{{.group = "Training"}};

  const std::uint64_t& seed = trainer.step.seed;

  void add_to(CLI::App& app) const {
    Flags::add_to(app);
    compute.add_to(app);
  }

 private:
  static na::Knob knob(const char* name) { return na::knob_named<na::TrainerOptions>(name); }
};

}  // namespace examples
