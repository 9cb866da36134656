// The text files of translation train, and the kind of its model.
#pragma once

#include <string>
#include <string_view>

#include "common/any_model.hpp"
#include "neural_attention/text/data/load_corpus.hpp"
#include "translation/options.hpp"

namespace examples {

/// A target is empty if its source is a .tsv with both sides.
struct CorpusPaths {
  std::string train_source, train_target, validation_source, validation_target;
};

/// Single files override the files of --data. Without validation, its files are empty.
inline CorpusPaths corpus_paths(const DataOptions& options, bool validation) {
  const auto find = [&](const std::string& given, const char* part, const std::string& language, const char* flag) {
    if (!given.empty()) return given;
    if (options.data.empty())
      throw na::ConfigError(
          std::string("no text for ") + flag + ": give it a FILE, or --data DIR" +
          (std::string_view(part) == "valid" ? "; --eval_strategy no trains without validation" : ""));
    return na::text::find_text_file(options.data, std::string(part) + "." + language);
  };
  const auto target = [&](const std::string& source, const std::string& given, const char* part, const char* flag) {
    const bool both = given.empty() && na::text::corpus_format(source) == na::text::CorpusFormat::Tsv;
    return both ? std::string() : find(given, part, options.target_lang, flag);
  };
  CorpusPaths paths;
  paths.train_source = find(options.train_source, "train", options.source_lang, "--train_source");
  paths.train_target = target(paths.train_source, options.train_target, "train", "--train_target");
  if (!validation) return paths;
  paths.validation_source = find(options.validation_source, "valid", options.source_lang, "--validation_source");
  paths.validation_target = target(paths.validation_source, options.validation_target, "valid", "--validation_target");
  return paths;
}

/// Marian's properties for the shared code.
struct MarianFamily {
  using Config = na::MarianConfig;
  using Model = AnyMarian;

  static Config small(int vocabulary) { return na::marian_small(vocabulary); }
  static Config base(int vocabulary) { return na::marian_base(vocabulary); }

  static void set_vocabulary(Config& config, int size) {
    config.vocab_size = size;
    config.pad_token_id = size - 1;
    config.eos_token_id = 0;
  }
  static void set_dropout(Config& config, double rate) { config.dropout = rate; }

  /// As in the paper, the value stays linear, except with the plain projectors.
  static na::Roles<std::string> arrangement(const std::string& projector) {
    const bool plain = projector == na::name_of_projector<na::PlainNeural> ||
                       projector == na::name_of_projector<na::ResidualPlainNeural>;
    return {projector, projector, plain ? projector : std::string(na::name_of_projector<na::Linear>), projector};
  }
};

}  // namespace examples
