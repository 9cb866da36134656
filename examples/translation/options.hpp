// The flags of `translation`. Names are Hugging Face's where it has one, Marian's for --mini_batch_words.
#pragma once

#include <CLI/CLI.hpp>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace examples {

struct ModelOptions {
  std::string model;             // a model directory to begin with; empty: a new model
  std::string init_projections;  // fresh or warm; empty: as the file has them
  std::vector<std::string> reinitialise;
  std::string config = "small";
  bool dump_config = false;
  int vocab_size = 4000;
  std::string projector;             // empty: as the model or the config says
  std::array<std::string, 4> roles;  // query, key, value, output; empty: as `projector` says
  int expansion = 0;                 // 0: as the model or the config says
  double dropout = -1.0;             // negative: as the config says
  bool gradient_checkpointing = false;
};

struct DataOptions {
  std::string data;
  std::string train_source, train_target, validation_source, validation_target;
  std::array<int, 2> tsv_columns = {1, 2};
  std::string source_lang = "de", target_lang = "en";
  int max_source_length = 128, max_target_length = 128;
  int per_device_train_batch_size = 0;
  int mini_batch_words = 0;
};

struct TrainOptions {
  ModelOptions model;
  DataOptions data;
  std::string output_dir;
  std::string resume_from_checkpoint;
  bool overwrite_output_dir = false;
  double learning_rate = 1e-3;
  std::string lr_scheduler_type = "linear";
  long warmup_steps = 400;
  double weight_decay = 0.01, adam_beta1 = 0.9, adam_beta2 = 0.98, adam_epsilon = 1e-8, momentum = 0.9;
  bool nesterov = false;
  std::string optim = "adamw";
  double max_grad_norm = 1.0, label_smoothing_factor = 0.1;
  double num_train_epochs = 10;
  long max_steps = 0;
  int gradient_accumulation_steps = 1;
  long eval_steps = 0, save_steps = 0, logging_steps = 50;
  int save_total_limit = 2, early_stopping_patience = 0;
  bool bleu = true, eval_on_start = false, no_eval_on_start = false;
  std::vector<std::string> freeze, learning_rate_for;
  std::uint64_t seed = 42;
  int threads = 0;
};

/// What is not given is as the model directory's generation_config.json says.
struct DecodingOptions {
  std::string model;
  std::optional<int> num_beams, max_length, min_length, no_repeat_ngram_size, num_return_sequences, top_k;
  std::optional<double> length_penalty, temperature, top_p;
  std::optional<std::string> early_stopping;
  bool do_sample = false;
  std::optional<std::uint64_t> seed;
  std::string bad_words;
  int batch_size = 64, threads = 0;
};

struct EvaluateOptions {
  DecodingOptions decoding;
  std::string source, reference, hypotheses;
};

struct TranslateOptions {
  DecodingOptions decoding;
  std::string input, output, on_error = "stop", attention;
  long attention_line = 0;   // 0: the first that has text
  int attention_layer = -1;  // negative: from the last one
};

inline void add_model_flags(CLI::App& app, ModelOptions& options) {
  auto* const model =
      app.add_option("--model", options.model,
                     "Begin with this model directory, as Hugging Face lays it out: its sizes, vocabulary and weights")
          ->group("Model");
  app.add_option("--init_projections", options.init_projections,
                 "With --model, for projectors other than its own: fresh (random, the paper's procedure) or warm (they "
                 "start as the linear maps that they replace)")
      ->check(CLI::IsMember({"fresh", "warm"}))
      ->needs(model)
      ->group("Model");
  app.add_option("--reinitialise", options.reinitialise,
                 "With --model, parameters that start at random values nevertheless: a pattern with * and ?, may be "
                 "repeated")
      ->allow_extra_args(false)
      ->needs(model)
      ->group("Model");
  app.add_option("--config", options.config, "Sizes: small, base, or a JSON file with Hugging Face's keys")
      ->excludes(model)
      ->group("Model")
      ->capture_default_str();
  app.add_flag("--dump_config", options.dump_config, "Print the config as JSON and stop")->group("Model");
  app.add_option("--vocab_size", options.vocab_size, "Pieces of the joint SentencePiece model that is trained")
      ->excludes(model)
      ->group("Model")
      ->capture_default_str();
  app.add_option(
         "--projector", options.projector,
         "Query, key and output projections: linear, sequential_linear, neural (Linear, LayerNorm, ReLU, "
         "Linear), plain_neural (without LayerNorm), residual or plain_residual (a linear map plus one of "
         "these). The value projection stays linear, as in the paper, except with the plain ones [linear, or as "
         "--model or --config says]")
      ->group("Model");
  constexpr std::array flags = {"--projector_q", "--projector_k", "--projector_v", "--projector_out"};
  constexpr std::array names = {"query", "key", "value", "output"};
  for (std::size_t role = 0; role < flags.size(); ++role)
    app.add_option(flags[role], options.roles[role], std::string("The projector of the ") + names[role] + " alone")
        ->group("Model");
  app.add_option("--projector_expansion", options.expansion,
                 "Hidden width of a neural projector in units of d_model [2, or as --model or --config says]")
      ->check(CLI::PositiveNumber)
      ->group("Model");
  app.add_option("--dropout", options.dropout, "Dropout rate [as the config says]")->group("Model");
  app.add_flag("--gradient_checkpointing", options.gradient_checkpointing,
               "Recompute each layer in the backward pass: less memory, about a third more time")
      ->group("Model");
}

inline void add_data_flags(CLI::App& app, DataOptions& options) {
  app.add_option("--data", options.data, "Directory with train.de[.gz], train.en[.gz], valid.de[.gz], valid.en[.gz]")
      ->group("Data");
  app.add_option("--train_source", options.train_source,
                 "Source side of the training pairs: a sentence a line, IWSLT's train.tags.* or *.xml; or a .tsv with "
                 "both sides")
      ->group("Data");
  app.add_option("--train_target", options.train_target, "Target side")->group("Data");
  app.add_option("--validation_source", options.validation_source, "Source side of the validation pairs")
      ->group("Data");
  app.add_option("--validation_target", options.validation_target, "Target side")->group("Data");
  app.add_option("--tsv_columns", options.tsv_columns, "Columns of a .tsv that hold source and target, from 1")
      ->group("Data")
      ->capture_default_str();
  app.add_option("--source_lang", options.source_lang, "Ending of the source files")
      ->group("Data")
      ->capture_default_str();
  app.add_option("--target_lang", options.target_lang, "Ending of the target files")
      ->group("Data")
      ->capture_default_str();
  app.add_option("--max_source_length", options.max_source_length, "Longer sources are cut")
      ->group("Data")
      ->capture_default_str();
  app.add_option("--max_target_length", options.max_target_length, "Longer targets are cut")
      ->group("Data")
      ->capture_default_str();
  app.add_option("--per_device_train_batch_size", options.per_device_train_batch_size, "Sentence pairs a batch")
      ->group("Data");
  app.add_option("--mini_batch_words", options.mini_batch_words,
                 "Tokens a batch instead, the longer side counted, from sentences of similar length [1200]")
      ->group("Data");
}

inline void add_train_flags(CLI::App& app, TrainOptions& options) {
  add_data_flags(app, options.data);
  add_model_flags(app, options.model);
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
  app.add_flag("!--no_bleu", options.bleu, "Judge by the validation loss and translate nothing while training")
      ->group("Training");
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
  option("--threads", options.threads, "CPU threads; 0: all");
}

inline void add_decoding_flags(CLI::App& app, DecodingOptions& options) {
  app.add_option(
         "--model", options.model,
         "Model directory as Hugging Face lays it out: an --output_dir of train, a checkpoint, or a Marian model "
         "with model.safetensors")
      ->required();
  const auto option = [&](const char* name, auto& value, const char* help) {
    app.add_option(name, value, help)->group("Search, as in generate(); what is not given: generation_config.json");
  };
  option("--num_beams", options.num_beams, "Beams of the search; 1: greedy");
  option("--length_penalty", options.length_penalty,
         "A result scores sum of log p / length^this: above 0 for longer ones");
  option("--min_length", options.min_length, "Tokens before a result may end, the start token counted");
  option("--max_length", options.max_length, "Tokens of a result at most, start and end counted");
  option("--early_stopping", options.early_stopping,
         "true: a sentence is done when num_beams results are; false: when no beam looks better; never: when none can "
         "become better");
  option("--no_repeat_ngram_size", options.no_repeat_ngram_size, "No run of this many tokens occurs twice; 0: any may");
  option("--bad_words", options.bad_words, "A file with words that never occur, one a line");
  option("--num_return_sequences", options.num_return_sequences,
         "Results a sentence. Above 1 each is a line of its own, as in Marian: LINE ||| TEXT ||| SCORE, LINE from 0");
  app.add_flag("--do_sample", options.do_sample, "Draw tokens at random instead of searching")->group("Sampling");
  const auto sampling = [&](const char* name, auto& value, const char* help) {
    app.add_option(name, value, help)->group("Sampling");
  };
  sampling("--temperature", options.temperature, "Above 1: more even odds");
  sampling("--top_k", options.top_k, "Among the likeliest tokens only; 0: among all");
  sampling("--top_p", options.top_p, "Among the fewest tokens that have this probability together");
  sampling("--seed", options.seed, "Of the draws");
  app.add_option("--batch_size", options.batch_size, "Sentences decoded together, at most")->capture_default_str();
  app.add_option("--threads", options.threads, "CPU threads; 0: all")->capture_default_str();
}

inline void add_evaluate_flags(CLI::App& app, EvaluateOptions& options) {
  app.add_option("--source", options.source, "Sentences to translate, plain or gzip")->required();
  app.add_option("--reference", options.reference, "Their translations, plain or gzip")->required();
  app.add_option("--hypotheses", options.hypotheses, "Also write the translations here");
  add_decoding_flags(app, options.decoding);
}

inline void add_translate_flags(CLI::App& app, TranslateOptions& options) {
  app.add_option("--input", options.input, "Translate this file, plain or gzip, instead of standard input");
  app.add_option("--output", options.output, "Write the translations here instead of to standard output");
  app.add_option("--on_error", options.on_error,
                 "At a line that is not UTF-8 or longer than 1 MiB: stop behind the lines before it, or skip it: its "
                 "translation is an empty line")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
  add_decoding_flags(app, options.decoding);
  const auto option = [&](const char* name, auto& value, const char* help) {
    app.add_option(name, value, help)->group("Attention");
  };
  option("--attention", options.attention,
         "Draw what the heads looked at in the source while they wrote one sentence: an SVG file");
  option("--attention_line", options.attention_line, "The line of that sentence, from 1 [the first that has text]");
  option("--attention_layer", options.attention_layer,
         "The decoder layer, from 0 as in parameter names; negative: from the last one [-1]");
}

}  // namespace examples
