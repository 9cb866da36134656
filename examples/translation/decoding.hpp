// From flags to a search: flags override the model directory's generation_config.json.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/any_model.hpp"
#include "common/output_file.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/services/translator.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"
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

/// Adds the words of a file, one per line, as sequences of target tokens.
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

/// The files that decoding reads; results must not replace them.
inline std::vector<NamedFile> files_read(const DecodingOptions& flags) {
  std::vector<NamedFile> files = {{"--bad_words", flags.bad_words}};
  add_files_of("--model", flags.model.path, files);
  return files;
}

/// The settings of a search from the flags and otherwise from the model directory, then checked.
template <class B>
na::GenerationConfig generation_config(const DecodingOptions& flags, const LoadedTranslator<B>& loaded,
                                       std::optional<int> num_return_sequences = {}) {
  auto how = loaded.generation;
  flags.search.apply(how);
  if (flags.search.has("max_length") && !flags.search.has("max_new_tokens")) how.max_new_tokens = 0;
  if (flags.search.has("min_length") && !flags.search.has("min_new_tokens")) how.min_new_tokens = 0;
  if (how.do_sample && flags.search.has("do_sample") && !flags.search.has("num_beams")) how.num_beams = 1;
  na::GenerationConfig::knobs([&](const na::Knob& knob) {
    if (!how.do_sample && knob.group == na::GenerationConfig::sampling && knob.name != std::string_view("do_sample") &&
        flags.search.has(knob.name))
      throw na::ConfigError("--" + std::string(knob.name) + " says how to draw tokens; give --do_sample as well");
  });
  if (num_return_sequences) how.num_return_sequences = *num_return_sequences;
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
