// Definitions of what text/tokenizers/byte_bpe_files.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/optional_file.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/tokenizers/added_tokens.hpp"
#include "neural_attention/text/tokenizers/bpe_merges.hpp"
#include "neural_attention/text/tokenizers/bpe_training.hpp"
#include "neural_attention/text/tokenizers/byte_bpe_files.hpp"
#include "neural_attention/text/tokenizers/byte_level.hpp"
#include "neural_attention/text/tokenizers/impl/tokenizer_json_parts.hpp"
#include "neural_attention/text/tokenizers/named_tokens.hpp"
#include "neural_attention/text/tokenizers/vocabulary_json.hpp"

namespace neural_attention::text {

namespace detail {

/// Collects merges that are spelled as pieces.
class MergeReader {
 public:
  explicit MergeReader(const PieceTable& table) {
    for (std::size_t id = 0; id < table.pieces.size(); ++id)
      if (table.has(static_cast<int>(id))) ids_.emplace(table.pieces[id], static_cast<int>(id));
  }

  /// Adds a merge. Gives back what is wrong with it, or an empty string.
  std::string add(std::string_view left, std::string_view right, std::vector<BpeMerge>& merges) {
    const auto joined = std::string(left) + std::string(right);
    if (left.empty() || right.empty() || !unspell_bytes(joined))
      return "is not of pieces in GPT-2's spelling: " + in_quotes(joined);
    for (const auto piece : {left, right, std::string_view(joined)})
      if (!ids_.contains(piece)) return "needs the piece " + in_quotes(piece) + ", which has no id";
    const BpeMerge merge{ids_.find(left)->second, ids_.find(right)->second, ids_.find(joined)->second};
    if (!seen_.insert(merge.pair()).second)
      return "joins " + in_quotes(left) + " and " + in_quotes(right) + " a second time";
    merges.push_back(merge);
    return {};
  }

  /// As above, from a pair with one space in between.
  std::string add(std::string_view pair, std::vector<BpeMerge>& merges) {
    const auto space = pair.find(' ');
    if (space == std::string_view::npos || pair.find(' ', space + 1) != std::string_view::npos)
      return "is not two pieces with a space in between: " + in_quotes(pair);
    return add(pair.substr(0, space), pair.substr(space + 1), merges);
  }

 private:
  StringMap<int> ids_;
  std::unordered_set<BpePair> seen_;
};

/// Reads the settings of the parts. Throws FileError for unsupported ones.
inline void read_parts(const nlohmann::json& document, const std::string& path, ByteBpeModel& model) {
  using nlohmann::json;
  if (!document.is_object()) throw FileError(path, "is not a JSON object");
  if (const auto type = type_of(part(document, "normalizer", "normalizers"), path); !type.empty()) {
    if (type != "NFC") throw unsupported_part(path, "normalizer", type, "NFC");
    model.nfc = true;
  }
  const auto& splitter = part(document, "pre_tokenizer", "pretokenizers");
  if (const auto type = type_of(splitter, path); type != "ByteLevel")
    throw unsupported_part(path, "pre_tokenizer", type, "ByteLevel");
  require_json(splitter, "use_regex", json::array({true}), "a pre_tokenizer", path);
  model.add_prefix_space = io::get<bool>(splitter, "add_prefix_space", path);
  if (const auto type = type_of(part(document, "decoder", "decoders"), path); type != "ByteLevel")
    throw unsupported_part(path, "decoder", type, "ByteLevel");
  require_processor(part(document, "post_processor", "processors"), path);

  const auto found = document.find("model");
  if (found == document.end() || !found->is_object()) throw FileError(path, "lacks the object \"model\"");
  require_json(*found, "type", json::array({"BPE"}), "a model", path);
  require_json(*found, "dropout", json::array({nullptr, 0.0}), "a model", path);
  for (const auto* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    require_json(*found, key, json::array({nullptr, ""}), "a model", path);
  require_json(*found, "byte_fallback", json::array({nullptr, false}), "a model", path);
  model.unk_token = io::get_or<std::string>(*found, "unk_token", "", path);
  model.fuse_unk = io::get_or<bool>(*found, "fuse_unk", false, path);
  model.ignore_merges = io::get_or<bool>(*found, "ignore_merges", false, path);
}

NEURAL_ATTENTION_INLINE void take_white_space(const std::string& directory, std::vector<AddedToken>& tokens) {
  const auto read = [&](const char* name) {
    const auto path = (std::filesystem::path(directory) / name).string();
    return std::pair{io::optional_object(path), path};
  };
  const auto take = [&](const nlohmann::json& described, const std::string& path) {
    for (const auto& one : described) {
      if (!one.is_object() || !one.contains("content")) continue;
      for (auto& token : tokens) {
        if (one["content"] != token.content) continue;
        token.lstrip = io::get_or<bool>(one, "lstrip", false, path);
        token.rstrip = io::get_or<bool>(one, "rstrip", false, path);
      }
    }
  };
  for (auto& token : tokens) token.lstrip = token.rstrip = false;
  const auto [config, config_path] = read("tokenizer_config.json");
  const auto [map, map_path] = read("special_tokens_map.json");
  take(config, config_path);
  take(map, map_path);
  if (const auto decoder = config.find("added_tokens_decoder"); decoder != config.end() && decoder->is_object())
    take(*decoder, config_path);
}

NEURAL_ATTENTION_INLINE void take_settings(const std::string& directory, bool one_file, ByteBpeModel& model) {
  const auto known = [&](const std::string&, const nlohmann::json& token) {
    return std::any_of(model.added_tokens.begin(), model.added_tokens.end(),
                       [&](const AddedToken& added) { return added.content == token_content(token); });
  };
  const auto path = (std::filesystem::path(directory) / "tokenizer_config.json").string();
  const auto config = io::optional_object(path);
  for (const auto* key : {"add_bos_token", "add_eos_token"})
    if (io::get_or<bool>(config, key, false, path))
      throw FileError(path, "\"" + std::string(key) + "\": true is not supported");
  require_known_tokens(directory, known, "it is not an added token of this tokenizer");

  auto name = io::get_or<std::string>(config, "tokenizer_class", "", path);
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  const bool anew = !one_file || name.empty() || name == "RobertaTokenizer" || name == "GPT2Tokenizer" ||
                    name == "BartTokenizer";  // an alias of RobertaTokenizer
  if (!anew) return;
  model.add_prefix_space = io::get_or<bool>(config, "add_prefix_space", false, path);
  if (one_file && (model.nfc || model.ignore_merges))
    throw FileError(
        (std::filesystem::path(directory) / "tokenizer.json").string(),
        "has " + std::string(model.nfc ? "the normalizer NFC" : "\"ignore_merges\": true") +
            ", which Hugging Face 4 applies and 5 ignores for this tokenizer_class: to keep it, set "
            "\"tokenizer_class\": \"PreTrainedTokenizerFast\" in tokenizer_config.json; otherwise remove it "
            "from this file");
}

}  // namespace detail

NEURAL_ATTENTION_INLINE bool has_all_bytes(const PieceTable& table, int& missing) {
  const std::unordered_set<std::string_view> pieces(table.pieces.begin(), table.pieces.end());
  for (missing = 0; missing < 256; ++missing)
    if (!pieces.contains(spell_bytes(std::string(1, static_cast<char>(missing))))) return false;
  return true;
}

NEURAL_ATTENTION_INLINE ByteBpeModel read_vocabulary_and_merges(const std::string& vocabulary_path,
                                                                const std::string& merges_path) {
  ByteBpeModel model;
  static_cast<PieceTable&>(model) = pieces_by_id(io::read_json(vocabulary_path), vocabulary_path);
  if (int byte = 0; !has_all_bytes(model, byte)) {
    model.unk_token = "<unk>";
    if (std::find(model.pieces.begin(), model.pieces.end(), model.unk_token) == model.pieces.end())
      throw FileError(vocabulary_path, "lacks the piece " +
                                           in_quotes(spell_bytes(std::string(1, static_cast<char>(byte)))) +
                                           " of byte " + std::to_string(byte) + ", and <unk> in its place");
  }
  detail::MergeReader reader(model);
  const auto lines = read_lines(merges_path);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i == 0 && lines[i].starts_with("#version")) continue;
    if (const auto fault = reader.add(lines[i], model.merges); !fault.empty())
      throw LineError(merges_path, static_cast<long>(i) + 1, "the merge " + fault);
  }
  return model;
}

NEURAL_ATTENTION_INLINE ByteBpeModel byte_bpe_model(nlohmann::json document, const std::string& path) {
  ByteBpeModel model;
  detail::read_parts(document, path, model);

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
      throw FileError(path, "the added token " + in_quotes(token.content) + " has id " + std::to_string(token.id) +
                                ", but " + io::detail::describe_json(*place) + " in the model's \"vocab\"");
    model.added_tokens.push_back(std::move(token));
  }
  static_cast<PieceTable&>(model) = pieces_by_id(vocabulary, path);
  if (!model.unk_token.empty() && !vocabulary.contains(model.unk_token))
    throw FileError(path, "the \"unk_token\" " + in_quotes(model.unk_token) + " is not in the model's \"vocab\"");

  detail::MergeReader reader(model);
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

NEURAL_ATTENTION_INLINE void write_merges(const ByteBpeModel& model, const std::string& path) {
  std::string text = "#version: 0.2\n";
  for (const auto& merge : model.merges)
    text += model.pieces[static_cast<std::size_t>(merge.left)] + " " +
            model.pieces[static_cast<std::size_t>(merge.right)] + "\n";
  io::write_file_atomically(path, text);
}

NEURAL_ATTENTION_INLINE nlohmann::json to_json(const ByteBpeModel& model) {
  using nlohmann::json;
  json vocabulary = json::object(), merges = json::array(), added_tokens = json::array(), processor;
  for (std::size_t id = 0; id < model.pieces.size(); ++id)
    if (model.has(static_cast<int>(id))) vocabulary[model.pieces[id]] = id;
  for (const auto& merge : model.merges)
    merges.push_back(model.pieces[static_cast<std::size_t>(merge.left)] + " " +
                     model.pieces[static_cast<std::size_t>(merge.right)]);
  for (const auto& token : model.added_tokens)
    added_tokens.push_back({{"id", token.id},
                            {"content", token.content},
                            {"single_word", token.single_word},
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
          {"normalizer", model.nfc ? json{{"type", "NFC"}} : json()},
          {"pre_tokenizer", byte_level},
          {"post_processor", processor},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", model.unk_token.empty() ? json() : json(model.unk_token)},
            {"continuing_subword_prefix", ""},
            {"end_of_word_suffix", ""},
            {"fuse_unk", model.fuse_unk},
            {"byte_fallback", false},
            {"ignore_merges", model.ignore_merges},
            {"vocab", vocabulary},
            {"merges", merges}}}};
}

}  // namespace neural_attention::text
