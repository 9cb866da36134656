// The flags of `causal_lm`, with the names of Hugging Face's run_clm if it has them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/compute.hpp"
#include "common/flags.hpp"
#include "common/model_options.hpp"
#include "common/ranges.hpp"
#include "common/search.hpp"
#include "common/training_options.hpp"
#include "neural_attention/decode/generation_config.hpp"
#include "neural_attention/models/gpt2_config.hpp"

namespace examples {

/// Texts or token files, and the tokenizer that goes with them.
struct CorpusOptions : Flags {
  CorpusOptions() : Flags("Data") {}

  const std::string& data = flag(
      "data", "", "Directory with train.txt[.gz] and valid.txt[.gz], or with the token files train.bin and valid.bin");
  const std::vector<std::string>& train_files = flag(
      "train_file", std::vector<std::string>(),
      "Text to train on, plain or gzip, or a token file NAME.bin; may be repeated for texts", {.one_at_a_time = true});
  const std::vector<std::string>& validation_files =
      flag("validation_file", std::vector<std::string>(), "The same to evaluate on", {.one_at_a_time = true});
  /// Empty: the tokenizer of the token files or of --model; otherwise bpe.
  const std::string& tokenizer =
      flag("tokenizer", "",
           "bpe: learn a byte-level BPE of --vocab_size pieces from the text; characters: every character of the texts "
           "is a token; or a directory with a tokenizer [the one beside the token files; otherwise bpe]",
           {.shown = ""});
};

struct TrainOptions : Flags {
  TrainOptions() : Flags("Data") {
    model.further = [this](na::Gpt2Config& config) {
      if (block_size > 0) config.max_position_embeddings = block_size;
    };
  }

  CorpusOptions corpus;
  /// 0: as many as the model reads.
  const int& block_size = flag(
      "block_size", 0,
      "Tokens of a window, and the most that a new model of --config small or gpt2 reads [as many as the model reads]",
      {.range = at_least(1), .kept = true, .shown = ""});
  const std::string& windows = flag("windows", "random",
                                    "random: at random places, as in nanoGPT; shuffled: side by side, each once per "
                                    "epoch, in a new order; lines: like shuffled, but each line is a separate text",
                                    {.among = {"random", "shuffled", "lines"}, .kept = true});
  const int& per_device_train_batch_size =
      flag("per_device_train_batch_size", 12, "Windows per batch", {.range = at_least(1)});
  ModelOptionsOf<na::Gpt2Config> model{{usual_pieces, learned_pieces, "Query, key and value",
                                        "The output projection stays linear", "n_embd", "0-2=linear,3-=neural",
                                        "gpt2"}};
  TrainingOptions training;

  void add_to(CLI::App& app) const {
    corpus.add_to(app);
    Flags::add_to(app);
    model.add_to(app);
    training.add_to(app);
  }
};

struct EvaluateOptions : Flags {
  ModelDirectory model{"a GPT-2 model"};
  const std::string& text_file =
      flag("text", "", "The text, plain or gzip, or a token file NAME.bin", {.required = true});
  const std::string& windows = flag("windows", "sequential",
                                    "sequential: side by side from the beginning of the text to its end; lines: the "
                                    "same, and each line is a text of its own",
                                    {.among = {"sequential", "lines"}});
  const int& block_size =
      flag("block_size", 0, "Tokens of a window [as many as the model reads]", {.range = at_least(1), .shown = ""});
  const int& stride = flag("stride", 0,
                           "Tokens between the beginnings of windows. Below --block_size, windows overlap and only "
                           "the tokens that are new in a window count, each with a longer context [--block_size]",
                           {.range = at_least(1), .shown = ""});
  const int& per_device_eval_batch_size =
      flag("per_device_eval_batch_size", 12, "Windows per batch", {.range = at_least(1)});
  SharedCompute compute;

  void add_to(CLI::App& app) const {
    model.add_to(app);
    Flags::add_to(app);
    compute.add_to(app);
  }
};

struct GenerateOptions : Flags {
  GenerateOptions() : Flags("Texts") {}

  std::vector<std::string> prompts;  // none: lines of standard input or of a file
  ModelDirectory model{"a GPT-2 model"};
  const std::string& input =
      flag("input", "", "A file with one prompt per line, plain or gzip, instead of prompts or standard input");
  const std::vector<std::string>& stops =
      flag("stop", std::vector<std::string>(),
           "A text ends in front of this; may be repeated [stop_strings of generation_config.json]",
           {.one_at_a_time = true});
  const bool& continuation_only = flag("continuation_only", false, "Leave the prompt out");
  const int& batch_size = flag("batch_size", 32, "Most texts that grow together, prompts times their samples or beams",
                               {.range = at_least(1)});
  const std::string& on_error = flag("on_error", "stop",
                                     "At a line that cannot be continued, such as one longer than the context: stop "
                                     "after the texts before it, or skip it",
                                     {.among = {"stop", "skip"}});
  /// Other values come from the model directory's generation_config.json.
  const Given<na::GenerationConfig>& search = overrides<na::GenerationConfig>(
      {.narrower = {{"num_return_sequences", from_to(1, most_results)}},
       .helps = {{"max_length", "Most tokens of a text, its prompt and the end token included"},
                 {"min_length", "Tokens of a text, its prompt included, before it may end"},
                 {"num_return_sequences", "Texts of each prompt"}}});
  InferenceCompute compute;

  void add_to(CLI::App& app) {
    app.add_option("prompt", prompts, "The beginnings of texts [the lines of --input or of standard input]");
    model.add_to(app);
    Flags::add_to(app);
    compute.add_to(app);
  }
};

struct TokenizeOptions : Flags {
  TokenizeOptions() : Flags("Data") {}

  CorpusOptions corpus;
  const std::optional<int>& vocab_size =
      flag("vocab_size", std::optional<int>(), learned_pieces + (" [" + std::to_string(usual_pieces) + "]"),
           {.range = from_to(1, most_pieces)});
  const std::string& output_dir =
      flag("output_dir", "", "Where train.bin, valid.bin and the tokenizer go", {.required = true});

  void add_to(CLI::App& app) const {
    corpus.add_to(app);
    Flags::add_to(app);
  }
};

/// The commands on backend B. Each returns the program's exit code and throws on errors.
template <class B>
int train(const TrainOptions& options);
template <class B>
int evaluate(const EvaluateOptions& options);
template <class B>
int generate(const GenerateOptions& options);

/// The commands on the backend of --device and --dtype.
inline int train_on_device(const TrainOptions& options) {
  return on_device(options.training.compute,
                   "take smaller batches (--per_device_train_batch_size) or recompute activations "
                   "(--gradient_checkpointing)",
                   [&]<class B>() { return train<B>(options); });
}
inline int evaluate_on_device(const EvaluateOptions& options) {
  return on_device(options.compute, "read fewer windows together (--per_device_eval_batch_size)",
                   [&]<class B>() { return evaluate<B>(options); });
}
inline int generate_on_device(const GenerateOptions& options) {
  return on_device(options.compute, "continue fewer texts together (--batch_size)",
                   [&]<class B>() { return generate<B>(options); });
}
int tokenize(const TokenizeOptions& options);

}  // namespace examples
