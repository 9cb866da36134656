// The parts of a tokenizer.json beside its vocabulary, and checks of those that are not supported.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/text/tokenizers/added_tokens.hpp"

namespace neural_attention::text::detail {

/// Throws FileError unless `value`, called `name`, is one of `allowed` (as JSON) or not there.
inline void require_json(const nlohmann::json& object, const std::string& key, const nlohmann::json& allowed,
                         const std::string& name, const std::string& path) {
  const auto found = object.find(key);
  if (found == object.end() || std::find(allowed.begin(), allowed.end(), *found) != allowed.end()) return;
  throw FileError(path,
                  name + " with " + in_quotes(key) + ": " + io::detail::describe_json(*found) + " is not supported");
}

/// The part `key` of a tokenizer.json, null if there is none. A Sequence of one part, which lies under the key
/// `parts`, is that part.
inline const nlohmann::json& part(const nlohmann::json& document, const char* key, const char* parts) {
  static const nlohmann::json none;
  const auto found = document.find(key);
  if (found == document.end()) return none;
  if (!found->is_object() || found->value("type", nlohmann::json()) != "Sequence") return *found;
  const auto list = found->find(parts);
  return list != found->end() && list->is_array() && list->size() == 1 ? list->front() : *found;
}

/// The "type" of a part; empty if it is null.
inline std::string type_of(const nlohmann::json& part, const std::string& path) {
  return part.is_null() ? std::string() : io::get<std::string>(part, "type", path);
}

inline FileError unsupported_part(const std::string& path, const std::string& key, const std::string& type,
                                  const std::string& supported) {
  return FileError(path, "a " + key + (type.empty() ? " that is missing" : " of type " + in_quotes(type)) +
                             " is not supported, only " + supported + " is");
}

/// What a TemplateProcessing puts around a text A, such as "<s> A </s>".
inline std::string template_of(const nlohmann::json& processor) {
  std::string form;
  const auto single = processor.find("single");
  if (single == processor.end() || !single->is_array()) return form;
  for (const auto& item : *single) {
    if (!item.is_object() || item.size() != 1 || !item.begin().value().is_object()) return {};
    const auto id = item.begin().value().value("id", nlohmann::json());
    if (!id.is_string()) return {};
    form += (form.empty() ? "" : " ") + id.get<std::string>();
  }
  return form;
}

/// Throws FileError unless what a post_processor puts around a text is <s> and </s>, or nothing.
inline void require_processor(const nlohmann::json& processor, const std::string& path) {
  const auto type = type_of(processor, path);
  if (type.empty() || type == "ByteLevel") return;  // changes only the offsets of tokens
  if (type == "Sequence") {
    // ByteLevel beside one other is as good as that one alone.
    const auto parts = processor.value("processors", nlohmann::json());
    if (!parts.is_array() || parts.size() != 2 || type_of(parts[0], path) != "ByteLevel")
      throw FileError(path, "a post_processor that is a sequence is not supported unless it is ByteLevel and one more");
    if (type_of(parts[1], path) != "Sequence") return require_processor(parts[1], path);
  }
  if (type == "RobertaProcessing") {
    for (const auto& [key, token] : {std::pair("cls", "<s>"), std::pair("sep", "</s>")}) {
      const auto found = processor.find(key);
      if (found == processor.end() || !found->is_array() || found->empty() || found->front() != token)
        throw FileError(path,
                        "a post_processor whose \"" + std::string(key) + "\" is not " + token + " is not supported");
    }
    return;
  }
  if (type != "TemplateProcessing")
    throw unsupported_part(path, "post_processor", type, "RobertaProcessing, TemplateProcessing or ByteLevel");
  if (const auto form = template_of(processor); form != "<s> A </s>")
    throw FileError(
        path, "a post_processor with the template " + in_quotes(form) + " is not supported, only \"<s> A </s>\" is");
}

inline AddedToken added_token(const nlohmann::json& object, const std::string& path) {
  const auto is = [&](const char* key, bool usual) { return io::get_or<bool>(object, key, usual, path); };
  AddedToken token{.content = io::get<std::string>(object, "content", path),
                   .id = io::get<int>(object, "id", path),
                   .lstrip = is("lstrip", false),
                   .rstrip = is("rstrip", false),
                   .normalized = is("normalized", true),
                   .special = is("special", false),
                   .single_word = is("single_word", false)};
  if (token.content.empty()) throw FileError(path, "has an added token without characters");
  if (token.id < 0) throw FileError(path, "the id of the added token " + in_quotes(token.content) + " is negative");
  return token;
}

}  // namespace neural_attention::text::detail
