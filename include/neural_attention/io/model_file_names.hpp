// What the files of a model directory are called.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "neural_attention/core/language.hpp"

namespace neural_attention::io {

inline constexpr std::string_view model_file = "model.safetensors";
inline constexpr std::string_view model_index_file = "model.safetensors.index.json";

namespace detail {

/// Without one of these a directory holds no model.
inline constexpr std::array key_files = {model_file, model_index_file};

inline constexpr std::array<std::string_view, 2> description_files = {"config.json", "generation_config.json"};

/// The files of the tokenizers of Hugging Face's Marian, RoBERTa and GPT-2.
inline constexpr std::array<std::string_view, 8> tokenizer_files = {"source.spm",
                                                                    "target.spm",
                                                                    "vocab.json",
                                                                    "merges.txt",
                                                                    "tokenizer.json",
                                                                    "tokenizer_config.json",
                                                                    "special_tokens_map.json",
                                                                    "added_tokens.json"};

/// Whether `text` is a number.
constexpr bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Whether the name is that of a shard: model-00001-of-00002.safetensors.
constexpr bool is_shard(std::string_view name) {
  constexpr std::string_view begin = "model-", middle = "-of-", end = ".safetensors";
  if (!name.starts_with(begin) || !name.ends_with(end) || name.size() < begin.size() + end.size()) return false;
  const auto numbers = name.substr(begin.size(), name.size() - begin.size() - end.size());
  const auto of = numbers.find(middle);
  return of != std::string_view::npos && all_digits(numbers.substr(0, of)) &&
         all_digits(numbers.substr(of + middle.size()));
}

constexpr bool is_one_of(std::string_view name, const auto& names) {
  return std::ranges::find(names, name) != names.end();
}

/// Whether a model directory has a file of this name, however the model is stored.
constexpr bool is_model_file(std::string_view name) {
  return is_one_of(name, key_files) || is_shard(name) || is_one_of(name, description_files) ||
         is_one_of(name, tokenizer_files);
}

}  // namespace detail

}  // namespace neural_attention::io
