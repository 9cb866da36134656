// From flags to a search: what is given on the command line wins over the model directory's generation_config.json.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "common/any_model.hpp"
#include "common/output_file.hpp"
#include "neural_attention/text/lines.hpp"
#include "neural_attention/text/marian_tokenizer.hpp"
#include "neural_attention/text/translator.hpp"
#include "translation/options.hpp"

namespace examples {

template <class B>
using TranslatorOn = na::text::Translator<MarianOn<B>, na::text::MarianTokenizer>;

/// A translator's model directory.
template <class B>
struct LoadedTranslator : LoadedModel<MarianOn<B>, na::text::MarianTokenizer> {
  LoadedTranslator(B& backend, const std::string& directory)
      : LoadedModel<MarianOn<B>, na::text::MarianTokenizer>(backend, directory),
        generation(na::io::load_generation_config(directory, this->model.config())) {}

  na::GenerationConfig generation;
};

inline na::EarlyStopping early_stopping_named(const std::string& name) {
  if (name == "true" || name == "True") return na::EarlyStopping::Always;
  if (name == "false" || name == "False") return na::EarlyStopping::Heuristic;
  if (name == "never") return na::EarlyStopping::Never;
  throw na::ConfigError("--early_stopping is true, false or never, not '" + name + "'");
}

/// Adds the words of a file, one a line, as sequences of target tokens.
inline void add_bad_words(const std::string& path, const na::text::MarianTokenizer& tokenizer,
                          na::GenerationConfig& how) {
  long number = 0;
  for (const auto& word : na::text::read_lines(path)) {
    ++number;
    auto ids = tokenizer.target_ids(word);
    ids.pop_back();  // </s>
    if (ids.empty()) throw na::LineError(path, number, "holds no word");
    how.bad_words_ids.push_back(std::move(ids));
  }
}

/// What decoding reads: no result may be written there.
inline std::vector<NamedFile> files_read(const DecodingOptions& flags) {
  std::vector<NamedFile> files = {{"--bad_words", flags.bad_words}};
  add_files_of("--model", flags.model, files);
  return files;
}

/// What a search does by the flags and, where they say nothing, by the model directory. Only then is it judged.
template <class B>
na::GenerationConfig generation_config(const DecodingOptions& flags, const LoadedTranslator<B>& loaded,
                                       std::optional<int> num_return_sequences = {}) {
  auto how = loaded.generation;
  const auto take = [](const auto& given, auto& value) {
    if (given) value = *given;
  };
  if (flags.do_sample) {
    how.do_sample = true;
    how.num_beams = 1;
  }
  if (!how.do_sample)
    for (const auto& [given, flag] : {std::pair{flags.temperature.has_value(), "--temperature"},
                                      {flags.top_k.has_value(), "--top_k"},
                                      {flags.top_p.has_value(), "--top_p"},
                                      {flags.min_p.has_value(), "--min_p"},
                                      {flags.seed.has_value(), "--seed"}})
      if (given) throw na::ConfigError(std::string(flag) + " says how to draw tokens; give --do_sample as well");
  take(flags.num_beams, how.num_beams);
  take(flags.length_penalty, how.length_penalty);
  take(flags.min_length, how.min_length);
  take(flags.max_length, how.max_length);
  take(flags.no_repeat_ngram_size, how.no_repeat_ngram_size);
  take(flags.num_return_sequences, how.num_return_sequences);
  take(num_return_sequences, how.num_return_sequences);
  take(flags.temperature, how.temperature);
  take(flags.top_k, how.top_k);
  take(flags.top_p, how.top_p);
  take(flags.min_p, how.min_p);
  take(flags.seed, how.seed);
  if (flags.early_stopping) how.early_stopping = early_stopping_named(*flags.early_stopping);
  if (!flags.bad_words.empty()) add_bad_words(flags.bad_words, loaded.tokenizer, how);
  na::io::check_generation(how, loaded.generation);
  return how;
}

inline na::text::TranslatorOptions translator_options(const DecodingOptions& flags) {
  if (flags.batch_size < 1) throw na::ConfigError("--batch_size must be at least 1");
  na::text::TranslatorOptions options;
  options.batch_size = flags.batch_size;
  options.threads = flags.compute.threads;
  options.precision = flags.compute.precision();
  options.clean_up_spaces = flags.clean_up_tokenization_spaces;
  return options;
}

}  // namespace examples
