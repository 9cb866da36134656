// The tokens that tokenizer_config.json and special_tokens_map.json name beside a vocabulary. Hugging Face cuts a text
// at each of them and gives those without an id a new one, so a reader must know them all or refuse the folder.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/json_file.hpp"

namespace neural_attention::text {

/// The content of a token, which is a string or an object with "content"; empty if `token` is neither.
inline std::string token_content(const nlohmann::json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (!token.is_object()) return {};
  const auto found = token.find("content");
  return found != token.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// Calls visit(key, token) for each token in the file `name` of a folder, which may be missing: "eos_token" and the
/// like, lists of special tokens, and added_tokens_decoder. Throws FileError if the file is not a JSON object.
void for_each_named_token(const std::filesystem::path& folder, std::string_view name, const auto& visit) {
  const auto path = folder / name;
  if (std::error_code ignored; !std::filesystem::exists(path, ignored)) return;
  const auto config = io::read_json(path.string());
  if (!config.is_object()) throw FileError(path.string(), "is not a JSON object");
  for (const auto& [key, value] : config.items()) {
    const bool list =
        key == "additional_special_tokens" || key == "extra_special_tokens" || key == "added_tokens_decoder";
    if (!list && !key.ends_with("_token")) continue;
    if (list && value.is_structured()) {
      for (const auto& token : value)
        if (!token_content(token).empty()) visit(key, token);
    } else if (!token_content(value).empty()) {
      visit(key, value);
    }
  }
}

/// Throws FileError for a token of the file `name` for which knows(key, token) is false.
void require_known_tokens(const std::string& folder, std::string_view name, const auto& knows) {
  for_each_named_token(folder, name, [&](const std::string& key, const nlohmann::json& token) {
    if (!knows(key, token))
      throw FileError((std::filesystem::path(folder) / name).string(),
                      "names the token " + in_quotes(token_content(token)) + " under " + in_quotes(key) +
                          ", which is not supported: it is no special token of the vocabulary, or is to be found "
                          "in another way");
  });
}

}  // namespace neural_attention::text
