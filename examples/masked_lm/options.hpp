// The flags of `masked_lm`, with the names of Hugging Face's run_mlm if it has them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/compute.hpp"
#include "common/flags.hpp"
#include "common/model_options.hpp"
#include "common/ranges.hpp"
#include "common/training_options.hpp"
#include "neural_attention/models/roberta_config.hpp"

namespace examples {

/// The sequences of a text and their masks.
struct MaskedTextOptions : Flags {
  MaskedTextOptions() : Flags("Data") {}

  /// 0: as many as the model reads.
  const int& max_seq_length =
      flag("max_seq_length", 0, "Tokens of a sequence, <s> and </s> included [as many as the model reads]",
           {.range = at_least(1), .kept = true, .shown = ""});
  const bool& line_by_line = flag("line_by_line", false,
                                  "Each line that is not empty becomes a sequence, without padding. Otherwise lines "
                                  "are joined and cut into equal blocks",
                                  {.kept = true});
  const double& mlm_probability = flag("mlm_probability", 0.15, "Share of the tokens that are predicted",
                                       {.range = above_up_to(0, 1), .kept = true});
};

struct TrainOptions : Flags {
  TrainOptions() : Flags("Data") {}

  const std::string& data = flag("data", "", "Directory with train.txt[.gz] and valid.txt[.gz]");
  const std::string& train_file = flag("train_file", "", "Text to train on, plain or gzip");
  const std::string& validation_file = flag("validation_file", "", "Text to evaluate on, plain or gzip");
  MaskedTextOptions text;
  BatchSizeOptions batch{"Sequences per batch", "Tokens per batch instead; a batch has sequences of similar length",
                         2048};
  ModelOptionsOf<na::RobertaConfig> model{{usual_pieces, learned_pieces, "Query, key and value",
                                           "The output projection stays linear, as in the paper", "hidden_size",
                                           "0-2=linear,3-=neural"}};
  TrainingOptions training;

  void add_to(CLI::App& app) const {
    Flags::add_to(app);
    text.add_to(app);
    batch.add_to(app);
    model.add_to(app);
    training.add_to(app);
  }
};

struct EvaluateOptions : Flags {
  ModelDirectory model{"a RoBERTa model"};
  const std::string& text_file = flag("text", "", "The text, plain or gzip", {.required = true});
  MaskedTextOptions text;
  const std::string& mode =
      flag("mode", "reproducible",
           "reproducible: masks depend only on --seed and the text, and each predicted token has the same weight. "
           "hugging_face: as run_mlm, each sequence has the same weight, with the mean loss of its batch",
           {.among = {"reproducible", "hugging_face"}});
  const int& per_device_eval_batch_size =
      flag("per_device_eval_batch_size", 8, "Sequences per batch", {.range = at_least(1)});
  const std::uint64_t& seed = flag("seed", std::uint64_t{42}, "Seed of the masks");
  SharedCompute compute;

  void add_to(CLI::App& app) const {
    model.add_to(app);
    Flags::add_to(app);
    text.add_to(app);
    compute.add_to(app);
  }
};

struct FillOptions : Flags {
  std::optional<std::string> text;  // none: lines of standard input
  ModelDirectory model{"a RoBERTa model"};
  const int& top_k = flag("top_k", 5, "Candidates for each <mask>", {.range = at_least(1)});
  InferenceCompute compute;

  void add_to(CLI::App& app) {
    app.add_option("text", text, "A text with <mask> in it [the lines of standard input]");
    model.add_to(app);
    Flags::add_to(app);
    compute.add_to(app);
  }
};

/// The commands on backend B. Each returns the program's exit code and throws on errors.
template <class B>
int train(const TrainOptions& options);
template <class B>
int evaluate(const EvaluateOptions& options);
template <class B>
int fill(const FillOptions& options);

/// The commands on the backend of --device and --dtype.
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
