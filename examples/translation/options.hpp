// The flags of `translation`, with Hugging Face's names if it has them.
#pragma once

#include <array>
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
#include "neural_attention/metrics/chrf.hpp"
#include "neural_attention/metrics/tokenizers.hpp"
#include "neural_attention/models/marian_config.hpp"

namespace examples {

struct DataOptions : Flags {
  DataOptions() : Flags("Data") {}

  const std::string& data =
      flag("data", "", "Directory with train.de[.gz], train.en[.gz], valid.de[.gz], valid.en[.gz]");
  const std::string& train_source =
      flag("train_source", "",
           "Source side of the training pairs: one sentence per line, IWSLT's train.tags.* or *.xml, or a .tsv with "
           "both sides");
  const std::string& train_target = flag("train_target", "", "Target side");
  const std::string& validation_source = flag("validation_source", "", "Source side of the validation pairs");
  const std::string& validation_target = flag("validation_target", "", "Target side");
  const std::array<int, 2>& tsv_columns =
      flag("tsv_columns", std::array{1, 2}, "Columns of a .tsv that hold source and target, from 1",
           {.range = at_least(1), .shown = "1 2", .type = "INT INT"});
  const std::string& source_lang = flag("source_lang", "de", "Ending of the source files");
  const std::string& target_lang = flag("target_lang", "en", "Ending of the target files");
  const int& max_source_length =
      flag("max_source_length", 128, "Longer sources are cut", {.range = at_least(1), .kept = true});
  const int& max_target_length =
      flag("max_target_length", 128, "Longer targets are cut", {.range = at_least(2), .kept = true});
  BatchSizeOptions batch{"Sentence pairs per batch",
                         "Tokens per batch instead, counting the longer side; a batch has sentences of similar length",
                         1200};

  void add_to(CLI::App& app) const {
    Flags::add_to(app);
    batch.add_to(app);
  }
};

/// For BLEU.
struct TokenizeOptions : Flags {
  using Flags::Flags;

  const std::string& tokenize = flag("tokenize", "13a",
                                     "BLEU's tokenizer, as in sacreBLEU: zh for Chinese, char for other scripts "
                                     "without spaces, none for text that is already tokenized",
                                     {.among = tokenizers(), .kept = true});

 private:
  static std::vector<std::string> tokenizers() {
    std::vector<std::string> names;
    for (const auto& [tokenizer, name] : na::metrics::bleu_tokenizers) names.emplace_back(name);
    return names;
  }
};

struct TrainOptions : Flags {
  DataOptions data;
  ModelOptionsOf<na::MarianConfig> model{
      {4000, "Pieces of the joint SentencePiece model that is trained", "Query, key and output",
       "The value projection stays linear, as in the paper, except with the plain ones", "d_model",
       "0-2=linear,3-=neural, or separately for the attentions of the encoder and decoder and from the decoder to the "
       "encoder (cross): encoder:0=linear,encoder:1-=neural,decoder=linear,cross=neural"}};
  const double& character_coverage =
      flag("character_coverage", 1.0,
           "Share of the text's characters that the SentencePiece model learns; the rarest ones become <unk>. Below 1 "
           "for scripts of thousands of characters, such as Chinese and Japanese",
           {.range = from_to(0.98, 1.0), .group = "Model", .kept = true});
  TrainingOptions training{0.1};  // label smoothing
  const bool& no_bleu = flag("no_bleu", false, "Judge by the validation loss and translate nothing while training",
                             {.group = "Training", .kept = true});
  TokenizeOptions bleu{"Training"};

  void add_to(CLI::App& app) const {
    data.add_to(app);
    model.add_to(app);
    training.add_to(app);
    Flags::add_to(app);
    bleu.add_to(app);
  }
};

struct DecodingOptions : Flags {
  /// `except`: settings that the command does not take.
  explicit DecodingOptions(const std::vector<std::string>& except = {})
      : search(overrides<na::GenerationConfig>(
            {.except = except, .narrower = {{"num_return_sequences", from_to(1, most_results)}}})) {}

  ModelDirectory model{"a Marian model"};
  /// Other values come from the model directory's generation_config.json.
  const Given<na::GenerationConfig>& search;
  const std::string& bad_words =
      flag("bad_words", "",
           "A file with words, one per line: the tokens of each must not occur one after the other; other tokens may "
           "spell the same word",
           {.group = na::GenerationConfig::search});
  const std::optional<bool>& clean_up_tokenization_spaces =
      flag("clean_up_tokenization_spaces", std::optional<bool>(),
           "true: remove spaces in front of English punctuation marks and contractions; false: keep them [as "
           "tokenizer_config.json says, otherwise false]",
           {.type = "true|false"});
  const int& batch_size =
      flag("batch_size", 64, "Most sentences, or samples of them, decoded together", {.range = at_least(1)});
  SharedCompute compute;

  void add_to(CLI::App& app) const {
    model.add_to(app);
    Flags::add_to(app);
    compute.add_to(app);
  }
};

struct EvaluateOptions : Flags {
  const std::string& source = flag("source", "", "Sentences to translate, plain or gzip", {.required = true});
  const std::vector<std::string>& references =
      flag("reference", std::vector<std::string>(),
           "Their translations, plain or gzip; may be repeated, once for each set of translations", {.required = true});
  const std::string& hypotheses = flag("hypotheses", "", "Also write the translations here");
  TokenizeOptions bleu;
  const int& chrf_word_order = flag("chrf_word_order", 0, "0: chrF; 2: chrF++, which counts words and pairs of them",
                                    {.range = from_to(0, na::metrics::chrf_largest_word_order)});
  DecodingOptions decoding{std::vector<std::string>{"num_return_sequences"}};  // the best result alone is judged

  void add_to(CLI::App& app) const {
    Flags::add_to(app);
    bleu.add_to(app);
    decoding.add_to(app);
  }
};

struct TranslateOptions : Flags {
  const std::string& input = flag("input", "", "Translate this file, plain or gzip, instead of standard input");
  const std::string& output = flag("output", "", "Write the translations here instead of to standard output");
  const std::string& on_error = flag("on_error", "stop",
                                     "At a line that is not UTF-8 or is longer than 1 MiB: stop after the lines before "
                                     "it, or skip it and write an empty line",
                                     {.among = {"stop", "skip"}});
  DecodingOptions decoding;
  const std::string& attention = flag(
      "attention", "", "Draw where the heads attend in the source while one sentence is translated, as an SVG file",
      {.group = "Attention"});
  /// 0: the first line with text.
  const long& attention_line = flag("attention_line", 0L, "The line of that sentence, from 1 [the first that has text]",
                                    {.range = at_least(1), .group = "Attention", .needs = {"attention"}, .shown = ""});
  const int& attention_layer =
      flag("attention_layer", -1, "The decoder layer, from 0 as in parameter names; negative: from the last one [-1]",
           {.group = "Attention", .needs = {"attention"}, .shown = ""});

  void add_to(CLI::App& app) const {
    Flags::add_to(app);
    decoding.add_to(app);
  }
};

/// The commands on backend B. Each returns the program's exit code and throws on errors.
template <class B>
int train(const TrainOptions& options);
template <class B>
int evaluate(const EvaluateOptions& options);
template <class B>
int translate(const TranslateOptions& options);

/// The commands on the backend of --device and --dtype.
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
