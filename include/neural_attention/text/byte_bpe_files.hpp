// The files of byte-level BPE: vocab.json with merges.txt as GPT-2 has them (a merge a line, "Ġ t", the first line may
// be a "#version"), and tokenizer.json of Hugging Face's tokenizers. Of the latter's many forms one is supported: a BPE
// model behind a ByteLevel pre-tokenizer with GPT-2's pattern, and no normalizer; every other is refused.
#pragma once

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/text/added_tokens.hpp"
#include "neural_attention/text/bpe_merges.hpp"
#include "neural_attention/text/bpe_training.hpp"
#include "neural_attention/text/byte_level.hpp"
#include "neural_attention/text/lines.hpp"
#include "neural_attention/text/vocabulary_json.hpp"

namespace neural_attention::text {

/// What the files hold. Pieces are in GPT-2's spelling, added tokens among them as they are.
struct ByteBpeModel {
  std::vector<std::string> pieces;  ///< by id
  std::vector<BpeMerge> merges;     ///< the first one is applied first
  std::vector<AddedToken> added_tokens;
  bool add_prefix_space = false;  ///< a text that does not begin with a space is given one
};

namespace detail {

/// Collects merges that are spelled as pieces.
class MergeReader {
 public:
  explicit MergeReader(const std::vector<std::string>& pieces) {
    for (std::size_t id = 0; id < pieces.size(); ++id) ids_.emplace(pieces[id], static_cast<int>(id));
  }

  /// Adds a merge. Gives back what is wrong with it, or an empty string.
  std::string add(std::string_view left, std::string_view right, std::vector<BpeMerge>& merges) {
    const auto joined = std::string(left) + std::string(right);
    if (left.empty() || right.empty() || !unspell_bytes(joined))
      return "is not of pieces in GPT-2's spelling: " + io::detail::in_quotes(joined);
    for (const auto piece : {left, right, std::string_view(joined)})
      if (!ids_.contains(piece)) return "needs the piece " + io::detail::in_quotes(piece) + ", which has no id";
    const BpeMerge merge{ids_.find(left)->second, ids_.find(right)->second, ids_.find(joined)->second};
    if (!seen_.insert(merge.pair()).second)
      return "joins " + io::detail::in_quotes(left) + " and " + io::detail::in_quotes(right) + " a second time";
    merges.push_back(merge);
    return {};
  }

  /// As above, from a pair with one space in between.
  std::string add(std::string_view pair, std::vector<BpeMerge>& merges) {
    const auto space = pair.find(' ');
    if (space == std::string_view::npos || pair.find(' ', space + 1) != std::string_view::npos)
      return "is not two pieces with a space in between: " + io::detail::in_quotes(pair);
    return add(pair.substr(0, space), pair.substr(space + 1), merges);
  }

 private:
  StringMap<int> ids_;
  std::unordered_set<BpePair> seen_;
};

/// Throws FileError unless `value`, called `name`, is one of `allowed` (as JSON) or not there.
inline void require_json(const nlohmann::json& object, const std::string& key, const nlohmann::json& allowed,
                         const std::string& name, const std::string& path) {
  const auto found = object.find(key);
  if (found == object.end() || std::find(allowed.begin(), allowed.end(), *found) != allowed.end()) return;
  throw FileError(path, name + " with " + io::detail::in_quotes(key) + ": " + io::detail::describe_json(*found) +
                            " is not supported");
}

/// The "type" of the part `key` of a tokenizer.json; empty where there is none.
inline std::string part_type(const nlohmann::json& document, const std::string& key, const std::string& path) {
  const auto found = document.find(key);
  if (found == document.end() || found->is_null()) return {};
  return io::get<std::string>(*found, "type", path);
}

inline FileError unsupported_part(const std::string& path, const std::string& key, const std::string& type,
                                  const std::string& supported) {
  return FileError(path, "a " + key + (type.empty() ? " that is missing" : " of type " + io::detail::in_quotes(type)) +
                             " is not supported, only " + supported + " is");
}

inline void require_byte_level_bpe(const nlohmann::json& document, const std::string& path) {
  using nlohmann::json;
  if (!document.is_object()) throw FileError(path, "is not a JSON object");
  if (const auto type = part_type(document, "normalizer", path); !type.empty())
    throw unsupported_part(path, "normalizer", type, "none");
  if (const auto type = part_type(document, "pre_tokenizer", path); type != "ByteLevel")
    throw unsupported_part(path, "pre_tokenizer", type, "ByteLevel");
  require_json(document["pre_tokenizer"], "use_regex", json::array({true}), "a pre_tokenizer", path);
  if (const auto type = part_type(document, "decoder", path); type != "ByteLevel")
    throw unsupported_part(path, "decoder", type, "ByteLevel");

  // ByteLevel after the model changes only the offsets of tokens; RobertaProcessing wraps them in <s> and </s>.
  const auto type = part_type(document, "post_processor", path);
  if (type == "RobertaProcessing") {
    const auto& processor = document["post_processor"];
    for (const auto& [key, token] : {std::pair("cls", "<s>"), std::pair("sep", "</s>")}) {
      const auto found = processor.find(key);
      if (found == processor.end() || !found->is_array() || found->empty() || found->front() != token)
        throw FileError(path,
                        "a post_processor whose \"" + std::string(key) + "\" is not " + token + " is not supported");
    }
  } else if (!type.empty() && type != "ByteLevel") {
    throw unsupported_part(path, "post_processor", type, "RobertaProcessing or ByteLevel");
  }

  const auto found = document.find("model");
  if (found == document.end() || !found->is_object()) throw FileError(path, "lacks the object \"model\"");
  require_json(*found, "type", json::array({"BPE"}), "a model", path);
  require_json(*found, "dropout", json::array({nullptr, 0.0}), "a model", path);
  require_json(*found, "ignore_merges", json::array({nullptr, false}), "a model", path);
  for (const auto* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    require_json(*found, key, json::array({nullptr, ""}), "a model", path);
}

inline AddedToken added_token(const nlohmann::json& object, const std::string& path) {
  AddedToken token{
      io::get<std::string>(object, "content", path),      io::get<int>(object, "id", path),
      io::get_or<bool>(object, "lstrip", false, path),    io::get_or<bool>(object, "rstrip", false, path),
      io::get_or<bool>(object, "normalized", true, path), io::get_or<bool>(object, "special", false, path)};
  if (token.content.empty()) throw FileError(path, "has an added token without characters");
  if (token.id < 0)
    throw FileError(path, "the id of the added token " + io::detail::in_quotes(token.content) + " is negative");
  require_json(object, "single_word", nlohmann::json::array({false}), "an added token", path);
  return token;
}

}  // namespace detail

/// Reads vocab.json and merges.txt; there are no added tokens yet. Throws FileError for files that are missing or no
/// such files, LineError for a merge that is broken, occurs twice, or joins or makes what has no id.
inline ByteBpeModel read_vocabulary_and_merges(const std::string& vocabulary_path, const std::string& merges_path) {
  ByteBpeModel model;
  model.pieces = pieces_by_id(io::read_json(vocabulary_path), vocabulary_path);
  detail::MergeReader reader(model.pieces);
  const auto lines = read_lines(merges_path);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i == 0 && lines[i].starts_with("#version")) continue;
    if (const auto fault = reader.add(lines[i], model.merges); !fault.empty())
      throw LineError(merges_path, static_cast<long>(i) + 1, "the merge " + fault);
  }
  return model;
}

/// What a tokenizer.json holds; `path` is the file that it came from. Truncation and padding, which it may hold, are
/// ignored. Throws FileError for what is broken and for what is not supported.
inline ByteBpeModel byte_bpe_model(nlohmann::json document, const std::string& path) {
  detail::require_byte_level_bpe(document, path);
  ByteBpeModel model;
  model.add_prefix_space = io::get<bool>(document["pre_tokenizer"], "add_prefix_space", path);

  const auto list = [&](nlohmann::json& object, const char* key) -> nlohmann::json& {
    auto& value = object[key];
    if (value.is_null()) value = nlohmann::json::array();
    if (!value.is_array()) throw FileError(path, "\"" + std::string(key) + "\" is not a list");
    return value;
  };
  auto& vocabulary = document["model"]["vocab"];
  if (!vocabulary.is_object()) throw FileError(path, "the model's \"vocab\" is not a JSON object of pieces and ids");
  for (const auto& object : list(document, "added_tokens")) {
    auto token = detail::added_token(object, path);
    const auto [place, is_new] = vocabulary.emplace(token.content, static_cast<unsigned>(token.id));
    if (!is_new && *place != token.id)
      throw FileError(path, "the added token " + io::detail::in_quotes(token.content) + " has id " +
                                std::to_string(token.id) + ", but " + io::detail::describe_json(*place) +
                                " in the model's \"vocab\"");
    model.added_tokens.push_back(std::move(token));
  }
  model.pieces = pieces_by_id(vocabulary, path);

  detail::MergeReader reader(model.pieces);
  std::size_t number = 0;
  for (const auto& merge : list(document["model"], "merges")) {
    ++number;
    std::string fault = "is neither a string nor a pair of strings";
    if (merge.is_string())
      fault = reader.add(merge.get_ref<const std::string&>(), model.merges);
    else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
      fault = reader.add(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>(), model.merges);
    if (!fault.empty()) throw FileError(path, "merge " + std::to_string(number) + " " + fault);
  }
  return model;
}

/// Writes merges.txt, all or nothing. Throws FileError.
inline void write_merges(const ByteBpeModel& model, const std::string& path) {
  std::string text = "#version: 0.2\n";
  for (const auto& merge : model.merges)
    text += model.pieces[static_cast<std::size_t>(merge.left)] + " " +
            model.pieces[static_cast<std::size_t>(merge.right)] + "\n";
  io::write_file_atomically(path, text);
}

/// The tokenizer.json of `model`, with RoBERTa's post-processor where it has <s> and </s>.
inline nlohmann::json to_json(const ByteBpeModel& model) {
  using nlohmann::json;
  json vocabulary = json::object(), merges = json::array(), added_tokens = json::array(), processor;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) vocabulary[model.pieces[id]] = id;
  for (const auto& merge : model.merges)
    merges.push_back(model.pieces[static_cast<std::size_t>(merge.left)] + " " +
                     model.pieces[static_cast<std::size_t>(merge.right)]);
  for (const auto& token : model.added_tokens)
    added_tokens.push_back({{"id", token.id},
                            {"content", token.content},
                            {"single_word", false},
                            {"lstrip", token.lstrip},
                            {"rstrip", token.rstrip},
                            {"normalized", token.normalized},
                            {"special", token.special}});
  const auto id_of = [&](std::string_view content) -> std::optional<int> {
    for (const auto& token : model.added_tokens)
      if (token.content == content) return token.id;
    return std::nullopt;
  };
  if (const auto bos = id_of("<s>"), eos = id_of("</s>"); bos && eos)
    processor = {{"type", "RobertaProcessing"},
                 {"cls", json::array({"<s>", *bos})},
                 {"sep", json::array({"</s>", *eos})},
                 {"trim_offsets", true},
                 {"add_prefix_space", model.add_prefix_space}};
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", model.add_prefix_space}, {"trim_offsets", true}, {"use_regex", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added_tokens},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", processor},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", ""},
            {"end_of_word_suffix", ""},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"vocab", vocabulary},
            {"merges", merges}}}};
}

}  // namespace neural_attention::text
