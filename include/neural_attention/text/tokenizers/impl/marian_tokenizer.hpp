// Definitions of what text/tokenizers/marian_tokenizer.hpp declares.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/io/optional_file.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"
#include "neural_attention/text/tokenizers/marian_vocabulary.hpp"
#include "neural_attention/text/tokenizers/named_tokens.hpp"
#include "neural_attention/text/tokenizers/sentencepiece.hpp"

namespace neural_attention::text {

NEURAL_ATTENTION_INLINE bool read_clean_up_spaces(const std::string& path) {
  const auto config = io::read_json(path);
  if (io::get_or<bool>(config, "separate_vocabs", false, path))
    throw FileError(path, "asks for separate vocabularies, only one is supported");
  return io::get_or<bool>(config, "clean_up_tokenization_spaces", false, path);
}

namespace detail {

/// Throws FileError unless the tokens of a folder are </s>, <unk> and <pad>, each in its own role and found as it is
/// written, and SentencePiece has its usual settings.
inline void require_usual_tokens(const std::string& directory) {
  const std::array<std::pair<std::string_view, std::string_view>, 3> roles = {
      std::pair{"eos_token", MarianVocabulary::eos}, std::pair{"unk_token", MarianVocabulary::unk},
      std::pair{"pad_token", MarianVocabulary::pad}};
  const auto usual = [&](std::string_view key, std::string_view content) {
    bool known = false;
    for (const auto& [role, token] : roles) {
      if (key == role) return content == token;
      known = known || content == token;
    }
    return known;
  };
  const std::filesystem::path folder(directory);
  require_known_tokens(
      folder,
      [&](const std::string& key, const nlohmann::json& token) {
        for (const auto* way : {"lstrip", "rstrip", "single_word"})
          if (token.is_object() && token.contains(way) && token.at(way) != false) return false;
        return usual(key, token_content(token));
      },
      "only </s>, <unk> and <pad> are, in their own roles, without lstrip, rstrip and single_word");
  const auto config = folder / "tokenizer_config.json";
  const auto settings = io::optional_object(config).value("sp_model_kwargs", nlohmann::json());
  if (!settings.is_null() && settings != nlohmann::json::object())
    throw FileError(config.string(), "has settings of SentencePiece (sp_model_kwargs), which are not supported");
  if (has_all_added_tokens(folder)) return;
  const auto added = folder / "added_tokens.json";
  const auto tokens = io::optional_object(added);
  for (const auto& [content, id] : tokens.items())
    if (!usual({}, content))
      throw FileError(added.string(), "adds the token " + in_quotes(content) + ", which is not supported");
}

}  // namespace detail

NEURAL_ATTENTION_INLINE MarianTokenizer MarianTokenizer::load(const std::string& directory) {
  const auto file = [&](const char* name) { return (std::filesystem::path(directory) / name).string(); };
  MarianTokenizer tokenizer(SentencePiece(file("source.spm")), SentencePiece(file("target.spm")),
                            MarianVocabulary::load(file("vocab.json")));
  const auto config_path = file("tokenizer_config.json");
  if (io::is_there(config_path)) tokenizer.clean_up_spaces_ = read_clean_up_spaces(config_path);
  detail::require_usual_tokens(directory);
  return tokenizer;
}

NEURAL_ATTENTION_INLINE MarianTokenizer MarianTokenizer::train(std::span<const std::string> source,
                                                               std::span<const std::string> target, int vocab_size,
                                                               const std::string& directory,
                                                               const MarianTokenizerOptions& options) {
  const HostWork work("learning a vocabulary");
  const std::filesystem::path folder(directory);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw FileError(directory, "cannot be created: " + error.message());

  // The model must see the same kind of text as in encoding: text without the literal special pieces.
  std::vector<std::string> lines;
  lines.reserve(source.size() + target.size());
  for (const auto side : {source, target})
    for (const auto& line : side)
      for (const auto& segment : split_specials(line))
        if (!segment.special && !strip(segment.text).empty()) lines.emplace_back(segment.text);

  SentencePieceOptions model_options;
  model_options.vocab_size = vocab_size;
  model_options.model_type = options.model_type;
  model_options.character_coverage = options.character_coverage;
  model_options.threads = options.threads;
  const auto source_path = (folder / "source.spm").string();
  train_sentencepiece(lines, source_path, model_options);
  SentencePiece model(source_path);
  if (model.size() < vocab_size && model.size() > 8 && model.size() % 8 != 0) {
    model_options.vocab_size = model.size() / 8 * 8;
    try {  // fewer pieces than the text has characters cannot be had: then the first model stands
      train_sentencepiece(lines, source_path, model_options);
      model = SentencePiece(source_path);
    } catch (const FileError&) {
    }
  }
  const io::MappedFile bytes(source_path);
  io::write_file_atomically(folder / "target.spm",
                            {reinterpret_cast<const char*>(bytes.bytes().data()), bytes.bytes().size()});
  const auto vocabulary_path = (folder / "vocab.json").string();
  MarianVocabulary(marian_order(model), vocabulary_path).save(vocabulary_path);
  write_config((folder / "tokenizer_config.json").string(), options);
  return load(directory);
}

NEURAL_ATTENTION_INLINE std::string MarianTokenizer::decode(std::span<const int> ids, bool clean_up) const {
  std::vector<std::string> pieces;
  pieces.reserve(ids.size());
  for (const int id : ids) {
    const auto& piece = vocabulary_.piece(id);
    if (!vocabulary_.is_special(id)) pieces.push_back(piece);
  }
  constexpr std::string_view word_start = "\u2581";  // stays in pieces that the model does not know
  // HF 5 joins pieces of a common vocabulary by the source's model.
  const auto text = replace_all(source_.decode(pieces), word_start, " ");
  const std::string stripped(strip(text));
  return clean_up ? clean_up_english(stripped) : stripped;
}

NEURAL_ATTENTION_INLINE std::string MarianTokenizer::clean_up_english(std::string text) {
  using Rule = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Rule, 10> rules = {
      Rule{" .", "."},     Rule{" ?", "?"},   Rule{" !", "!"},   Rule{" ,", ","},     Rule{" ' ", "'"},
      Rule{" n't", "n't"}, Rule{" 'm", "'m"}, Rule{" 's", "'s"}, Rule{" 've", "'ve"}, Rule{" 're", "'re"}};
  for (const auto& [from, to] : rules) text = replace_all(text, from, to);
  return text;
}

NEURAL_ATTENTION_INLINE std::vector<MarianTokenizer::Segment> MarianTokenizer::split_specials(std::string_view text) {
  std::vector<Segment> segments;
  std::size_t start = 0;
  for (auto at = text.find('<'); at != std::string_view::npos; at = text.find('<', at)) {
    const auto special = special_at(text.substr(at));
    if (special.empty()) {
      ++at;
      continue;
    }
    if (at > start) segments.push_back({text.substr(start, at - start), false});
    segments.push_back({special, true});
    start = at += special.size();
  }
  if (start < text.size()) segments.push_back({text.substr(start), false});
  return segments;
}

NEURAL_ATTENTION_INLINE std::string_view MarianTokenizer::special_at(std::string_view text) {
  for (const auto special : {MarianVocabulary::eos, MarianVocabulary::unk, MarianVocabulary::pad})
    if (text.starts_with(special)) return special;
  return {};
}

NEURAL_ATTENTION_INLINE std::string_view MarianTokenizer::language_code(std::string_view text) {
  const auto close = text.starts_with(">>") ? text.find("<<") : std::string_view::npos;
  return close == std::string_view::npos ? std::string_view() : text.substr(0, close + 2);
}

NEURAL_ATTENTION_INLINE std::vector<int> MarianTokenizer::encode(std::string_view text,
                                                                 const SentencePiece& model) const {
  std::vector<int> ids;
  for (const auto& segment : split_specials(text)) {
    if (segment.special) {
      ids.push_back(vocabulary_.id(std::string(segment.text)));
      continue;
    }
    const auto code = language_code(segment.text);
    if (!code.empty()) ids.push_back(vocabulary_.id(std::string(code)));
    for (const auto& piece : model.pieces(segment.text.substr(code.size()))) ids.push_back(vocabulary_.id(piece));
  }
  ids.push_back(eos_id());
  return ids;
}

NEURAL_ATTENTION_INLINE std::vector<std::string> MarianTokenizer::marian_order(const SentencePiece& model) {
  std::vector<std::string> pieces = {std::string(MarianVocabulary::eos), std::string(MarianVocabulary::unk)};
  for (int id = 0; id < model.size(); ++id)
    if (special_at(model.piece(id)) != model.piece(id)) pieces.push_back(model.piece(id));
  pieces.emplace_back(MarianVocabulary::pad);
  return pieces;
}

NEURAL_ATTENTION_INLINE void MarianTokenizer::write_config(const std::string& path,
                                                           const MarianTokenizerOptions& options) {
  const nlohmann::ordered_json config = {
      {"tokenizer_class", "MarianTokenizer"}, {"source_lang", options.source_lang},
      {"target_lang", options.target_lang},   {"model_max_length", options.model_max_length},
      {"eos_token", MarianVocabulary::eos},   {"unk_token", MarianVocabulary::unk},
      {"pad_token", MarianVocabulary::pad},   {"separate_vocabs", false},
      {"clean_up_tokenization_spaces", false}};
  io::write_file_atomically(path, config.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace neural_attention::text
