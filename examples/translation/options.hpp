// The flags of `translation`. Names are Hugging Face's where it has one.
#pragma once

#include <CLI/CLI.hpp>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "common/compute.hpp"
#include "common/model_options.hpp"
#include "common/ranges.hpp"
#include "common/training_options.hpp"
#include "neural_attention/metrics/chrf.hpp"
#include "neural_attention/metrics/tokenizers.hpp"

namespace examples {

struct DataOptions {
  std::string data;
  std::string train_source, train_target, validation_source, validation_target;
  std::array<int, 2> tsv_columns = {1, 2};
  std::string source_lang = "de", target_lang = "en";
  int max_source_length = 128, max_target_length = 128;
  BatchSizeOptions batch;
};

struct TrainOptions {
  ModelOptions model = {.usual_vocab_size = 4000};
  DataOptions data;
  double character_coverage = 1.0;
  TrainingOptions training = {.label_smoothing_factor = 0.1};
  bool bleu = true;
  std::string tokenize = "13a";
};

/// What is not given is as the model directory's generation_config.json says.
struct DecodingOptions {
  std::string model;
  std::optional<int> num_beams, max_length, min_length, no_repeat_ngram_size, num_return_sequences, top_k;
  std::optional<double> length_penalty, temperature, top_p, min_p;
  std::optional<bool> clean_up_tokenization_spaces;
  std::optional<std::string> early_stopping;
  bool do_sample = false;
  std::optional<std::uint64_t> seed;
  std::string bad_words;
  int batch_size = 64;
  Compute compute;
};

struct EvaluateOptions {
  DecodingOptions decoding;
  std::string source, hypotheses;
  std::vector<std::string> references;
  std::string tokenize = "13a";
  int chrf_word_order = 0;
};

struct TranslateOptions {
  DecodingOptions decoding;
  std::string input, output, on_error = "stop", attention;
  long attention_line = 0;   // 0: the first that has text
  int attention_layer = -1;  // negative: from the last one
};

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
      ->transform(integer(1))
      ->group("Data")
      ->capture_default_str();
  app.add_option("--source_lang", options.source_lang, "Ending of the source files")
      ->group("Data")
      ->capture_default_str();
  app.add_option("--target_lang", options.target_lang, "Ending of the target files")
      ->group("Data")
      ->capture_default_str();
  app.add_option("--max_source_length", options.max_source_length, "Longer sources are cut")
      ->transform(integer(1))
      ->group("Data")
      ->capture_default_str();
  app.add_option("--max_target_length", options.max_target_length, "Longer targets are cut")
      ->transform(integer(2))
      ->group("Data")
      ->capture_default_str();
  add_batch_flags(app, options.batch, "Sentence pairs a batch",
                  "Tokens a batch instead, the longer side counted, from sentences of similar length [1200]");
}

/// For BLEU.
inline CLI::Option* add_tokenize_flag(CLI::App& app, std::string& tokenize) {
  std::vector<std::string> names;
  for (const auto& [tokenizer, name] : na::metrics::bleu_tokenizers) names.emplace_back(name);
  return app
      .add_option("--tokenize", tokenize,
                  "How BLEU cuts lines into tokens, as sacreBLEU does: zh for Chinese, char for other scripts without "
                  "spaces, none for text that is cut already")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
}

inline void add_train_flags(CLI::App& app, TrainOptions& options) {
  add_data_flags(app, options.data);
  add_model_flags(app, options.model,
                  {"Pieces of the joint SentencePiece model that is trained", "Query, key and output",
                   "The value projection stays linear, as in the paper, except with the plain ones", "d_model"});
  app.add_option("--character_coverage", options.character_coverage,
                 "Share of the text's characters that the SentencePiece model learns; the rarest ones become <unk>. "
                 "Below 1 for scripts of thousands of characters, such as Chinese and Japanese")
      ->group("Model")
      ->transform(number(from_to(0.98, 1.0)))
      ->capture_default_str();
  add_training_flags(app, options.training);
  app.add_flag("!--no_bleu", options.bleu, "Judge by the validation loss and translate nothing while training")
      ->group("Training");
  add_tokenize_flag(app, options.tokenize)->group("Training");
}

/// Of beams and of results, each of which takes memory for every sentence that is decoded.
inline constexpr int most_results = 10'000;
inline constexpr int any_length = std::numeric_limits<int>::max();

inline void add_decoding_flags(CLI::App& app, DecodingOptions& options) {
  add_model_directory_flag(app, options.model, "a Marian model");
  const auto option = [&](const char* name, auto& value, const char* help) {
    return app.add_option(name, value, help)
        ->group("Search, as in generate(); what is not given: generation_config.json");
  };
  const auto count = [&](const char* name, auto& value, int least, int most, const char* help) {
    option(name, value, help)->transform(integer(least, most));
  };
  count("--num_beams", options.num_beams, 1, most_results, "Beams of the search; 1: greedy");
  option("--length_penalty", options.length_penalty,
         "A result scores sum of log p / length^this: above 0 for longer ones")
      ->transform(number({}));
  count("--min_length", options.min_length, 0, any_length, "Tokens before a result may end, the start token counted");
  count("--max_length", options.max_length, 2, any_length, "Tokens of a result at most, start and end counted");
  option("--early_stopping", options.early_stopping,
         "true: a sentence is done when num_beams results are; false: when no beam looks better; never: when none can "
         "become better");
  count("--no_repeat_ngram_size", options.no_repeat_ngram_size, 0, any_length,
        "No run of this many tokens occurs twice; 0: any may");
  option("--bad_words", options.bad_words, "A file with words that never occur, one a line");
  count("--num_return_sequences", options.num_return_sequences, 1, most_results,
        "Results a sentence. Above 1 each is a line of its own, as in Marian: LINE ||| TEXT ||| SCORE, LINE from 0");
  app.add_flag("--do_sample", options.do_sample, "Draw tokens at random instead of searching")->group("Sampling");
  const auto sampling = [&](const char* name, auto& value, const CLI::Validator& range, const char* help) {
    app.add_option(name, value, help)->transform(range)->group("Sampling");
  };
  sampling("--temperature", options.temperature, number(above(0)), "Above 1: more even odds");
  sampling("--top_k", options.top_k, integer(0), "Among the likeliest tokens only; 0: among all");
  sampling("--top_p", options.top_p, number(above_up_to(0, 1)),
           "Among the fewest tokens that have this probability together");
  sampling("--min_p", options.min_p, number(from_to(0, 1)),
           "Among tokens with at least this share of the likeliest one's probability");
  sampling("--seed", options.seed, seed_number(), "Of the draws");
  app.add_option("--clean_up_tokenization_spaces", options.clean_up_tokenization_spaces,
                 "true: spaces in front of English punctuation marks and contractions go; false: they stay [as "
                 "tokenizer_config.json says, else false]")
      ->type_name("true|false");
  app.add_option("--batch_size", options.batch_size, "Sentences decoded together, at most")
      ->transform(integer(1))
      ->capture_default_str();
  add_compute_flags(app, options.compute);
}

inline void add_evaluate_flags(CLI::App& app, EvaluateOptions& options) {
  app.add_option("--source", options.source, "Sentences to translate, plain or gzip")->required();
  app.add_option("--reference", options.references,
                 "Their translations, plain or gzip; may be repeated, once for each set of translations")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--hypotheses", options.hypotheses, "Also write the translations here");
  add_tokenize_flag(app, options.tokenize);
  app.add_option("--chrf_word_order", options.chrf_word_order,
                 "0: chrF; 2: chrF++, which counts words and pairs of them")
      ->transform(integer(0, na::metrics::chrf_largest_word_order))
      ->capture_default_str();
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
    return app.add_option(name, value, help)->group("Attention");
  };
  option("--attention", options.attention,
         "Draw what the heads looked at in the source while they wrote one sentence: an SVG file");
  option("--attention_line", options.attention_line, "The line of that sentence, from 1 [the first that has text]")
      ->transform(integer(1));
  option("--attention_layer", options.attention_layer,
         "The decoder layer, from 0 as in parameter names; negative: from the last one [-1]")
      ->transform(integer(-std::numeric_limits<int>::max()));
}

// The commands on backend B. Each returns the program's exit code and throws on errors.
template <class B>
int train(const TrainOptions& options);
template <class B>
int evaluate(const EvaluateOptions& options);
template <class B>
int translate(const TranslateOptions& options);

// The commands on what --device and --dtype say.
inline int train_on_device(const TrainOptions& options) {
  return on_device(options.training.compute, less_memory_in_training, [&]<class B>() { return train<B>(options); });
}
inline constexpr const char* less_memory_in_decoding = "decode fewer sentences together (--batch_size)";
inline int evaluate_on_device(const EvaluateOptions& options) {
  return on_device(options.decoding.compute, less_memory_in_decoding, [&]<class B>() { return evaluate<B>(options); });
}
inline int translate_on_device(const TranslateOptions& options) {
  return on_device(options.decoding.compute, less_memory_in_decoding, [&]<class B>() { return translate<B>(options); });
}

}  // namespace examples
