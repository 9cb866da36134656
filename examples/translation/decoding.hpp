// From flags to a translator and its search.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/any_model.hpp"
#include "common/output_file.hpp"
#include "common/run_group.hpp"
#include "common/search.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/text/data/fingerprint.hpp"
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
  LoadedTranslator(B& backend, const DecodingOptions& flags)
      : LoadedModel<MarianOn<B>, na::text::MarianTokenizer>(backend, flags.model.path, flags.compute.purpose(),
                                                            flags.compute.precision()),
        generation(na::io::load_generation_config(flags.model.path, this->model.config())) {}

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
  auto how = search_config(flags.search, loaded.generation);
  if (num_return_sequences) how.num_return_sequences = *num_return_sequences;
  if (!flags.bad_words.empty()) add_bad_words(flags.bad_words, loaded.tokenizer, how);
  na::io::check_generation(how, loaded.generation, loaded.model.config().vocab_size);
  return how;
}

/// Throws ConfigError if a rank would translate otherwise than rank 0, or another text.
template <class Group, class B>
void require_same_search(Group& group, const B& backend, const DecodingOptions& flags, const na::GenerationConfig& how,
                         const std::vector<std::string>& text = {}) {
  na::RunIdentity work;
  work.set("generation settings", na::io::to_json(how).dump());
  na::text::Fingerprint print;
  for (const auto& line : text) print.add(line);
  work.set("text", print.digits());
  require_same_work(group, backend, flags.model.path, flags.compute, work);
}

/// Of a rank of `group`.
template <class Group>
na::text::TranslatorOptions translator_options(const Group& group, const DecodingOptions& flags) {
  if (flags.batch_size < 1) throw na::ConfigError("--batch_size must be at least 1");
  na::text::TranslatorOptions options;
  options.batch_size = flags.batch_size;
  options.threads = rank_threads(group, flags.compute);
  options.precision = flags.compute.precision();
  options.clean_up_spaces = flags.clean_up_tokenization_spaces;
  return options;
}

}  // namespace examples
