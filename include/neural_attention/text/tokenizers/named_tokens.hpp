// The tokens that tokenizer_config.json and special_tokens_map.json name beside a vocabulary. Hugging Face cuts a text
// at each of them and gives those without an id a new one, so a reader must know them all or refuse the folder.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/optional_file.hpp"

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
  const auto config = io::optional_object(folder / name);
  for (const auto& [key, value] : config.items()) {
    const bool list = key == "additional_special_tokens" || key == "extra_special_tokens" ||
                      key == "model_specific_special_tokens" || key == "added_tokens_decoder";
    if (!list && !key.ends_with("_token")) continue;
    if (list && value.is_structured()) {
      for (const auto& token : value)
        if (!token_content(token).empty()) visit(key, token);
    } else if (!token_content(value).empty()) {
      visit(key, value);
    }
  }
}

/// Whether tokenizer_config.json has all added tokens: Hugging Face then ignores special_tokens_map.json and
/// added_tokens.json.
inline bool has_all_added_tokens(const std::filesystem::path& folder) {
  return io::optional_object(folder / "tokenizer_config.json").contains("added_tokens_decoder");
}

/// Throws FileError for a token of tokenizer_config.json or special_tokens_map.json for which knows(key, token) is
/// false; `why` says what is known.
void require_known_tokens(const std::filesystem::path& folder, const auto& knows, std::string_view why) {
  const auto require = [&](std::string_view name) {
    for_each_named_token(folder, name, [&](const std::string& key, const nlohmann::json& token) {
      if (!knows(key, token))
        throw FileError((folder / name).string(), "names the token " + in_quotes(token_content(token)) + " under " +
                                                      in_quotes(key) + ", which is not supported: " + std::string(why));
    });
  };
  require("tokenizer_config.json");
  if (!has_all_added_tokens(folder)) require("special_tokens_map.json");
}

}  // namespace neural_attention::text
