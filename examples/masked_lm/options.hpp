// The flags of `masked_lm`. Names are those of Hugging Face's run_mlm where it has one.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "common/compute.hpp"
#include "common/model_options.hpp"
#include "common/ranges.hpp"
#include "common/training_options.hpp"

namespace examples {

/// How a text becomes sequences, and what of them is masked.
struct MaskedTextOptions {
  int max_seq_length = 0;  // 0: what the model reads
  bool line_by_line = false;
  double mlm_probability = 0.15;
};

struct TrainOptions {
  ModelOptions model = {.usual_vocab_size = 16000};
  std::string data, train_file, validation_file;
  MaskedTextOptions text;
  BatchSizeOptions batch;
  TrainingOptions training;
};

struct EvaluateOptions {
  std::string model, text_file, mode = "reproducible";
  MaskedTextOptions text;
  int per_device_eval_batch_size = 8;
  std::uint64_t seed = 42;
  Compute compute;
};

struct FillOptions {
  std::string model;
  std::optional<std::string> text;  // none: lines of standard input
  int top_k = 5;
  Compute compute;
};

inline void add_masked_text_flags(CLI::App& app, MaskedTextOptions& options) {
  app.add_option("--max_seq_length", options.max_seq_length,
                 "Tokens of a sequence, <s> and </s> included [as many as the model reads]")
      ->transform(integer(1))
      ->group("Data");
  app.add_flag("--line_by_line", options.line_by_line,
               "Each line that is not empty is a sequence of its own; no padding is made of it. Else lines are joined "
               "and cut into equal blocks")
      ->group("Data");
  app.add_option("--mlm_probability", options.mlm_probability, "Share of the tokens that are predicted")
      ->transform(number(above_up_to(0, 1)))
      ->group("Data")
      ->capture_default_str();
}

inline void add_train_flags(CLI::App& app, TrainOptions& options) {
  app.add_option("--data", options.data, "Directory with train.txt[.gz] and valid.txt[.gz]")->group("Data");
  app.add_option("--train_file", options.train_file, "Text to train on, plain or gzip")->group("Data");
  app.add_option("--validation_file", options.validation_file, "Text to judge by, plain or gzip")->group("Data");
  add_masked_text_flags(app, options.text);
  add_batch_flags(app, options.batch, "Sequences a batch",
                  "Tokens a batch instead, from sequences of similar length [2048]");
  add_model_flags(app, options.model,
                  {"Pieces of the byte-level BPE that is learned, at most", "Query, key and value",
                   "The output projection stays linear, as in the paper", "hidden_size"});
  add_training_flags(app, options.training);
}

inline void add_evaluate_flags(CLI::App& app, EvaluateOptions& options) {
  add_model_directory_flag(app, options.model, "a RoBERTa model");
  app.add_option("--text", options.text_file, "The text, plain or gzip")->required();
  add_masked_text_flags(app, options.text);
  app.add_option("--mode", options.mode,
                 "reproducible: masks that depend on --seed and the text alone, each predicted token counts alike. "
                 "hugging_face: as run_mlm, each sequence counts alike, with the mean loss of its batch")
      ->check(CLI::IsMember({"reproducible", "hugging_face"}))
      ->capture_default_str();
  app.add_option("--per_device_eval_batch_size", options.per_device_eval_batch_size, "Sequences a batch")
      ->transform(integer(1))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of the masks")->transform(seed_number())->capture_default_str();
  add_compute_flags(app, options.compute);
}

inline void add_fill_flags(CLI::App& app, FillOptions& options) {
  app.add_option("text", options.text, "A text with <mask> in it [the lines of standard input]");
  add_model_directory_flag(app, options.model, "a RoBERTa model");
  app.add_option("--top_k", options.top_k, "Candidates for each <mask>")->transform(integer(1))->capture_default_str();
  add_compute_flags(app, options.compute);
}

// The commands on backend B. Each returns the program's exit code and throws on errors.
template <class B>
int train(const TrainOptions& options);
template <class B>
int evaluate(const EvaluateOptions& options);
template <class B>
int fill(const FillOptions& options);

// The commands on what --device and --dtype say.
inline int train_on_device(const TrainOptions& options) {
  return on_device(options.training.compute, less_memory_in_training, [&]<class B>() { return train<B>(options); });
}
inline int evaluate_on_device(const EvaluateOptions& options) {
  return on_device(options.compute, "read fewer sequences together (--per_device_eval_batch_size)",
                   [&]<class B>() { return evaluate<B>(options); });
}
inline int fill_on_device(const FillOptions& options) {
  return on_device(options.compute, "give a text with fewer tokens", [&]<class B>() { return fill<B>(options); });
}

}  // namespace examples
