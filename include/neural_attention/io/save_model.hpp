// A model as a directory in Hugging Face's layout: config.json, generation_config.json where it generates, and the
// parameters in model.safetensors or in shards behind an index.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "neural_attention/core/model_contracts.hpp"
#include "neural_attention/core/name_pattern.hpp"
#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/io/parameter_file.hpp"
#include "neural_attention/io/staged_files.hpp"

namespace neural_attention::io {

namespace detail {

/// Of the tokenizers that Hugging Face's Marian and RoBERTa have.
inline constexpr std::array<std::string_view, 8> tokenizer_files = {"source.spm",
                                                                    "target.spm",
                                                                    "vocab.json",
                                                                    "merges.txt",
                                                                    "tokenizer.json",
                                                                    "tokenizer_config.json",
                                                                    "special_tokens_map.json",
                                                                    "added_tokens.json"};

/// model.safetensors or, where that would be larger than `largest` bytes (0: never), shards with their index, divided
/// as Hugging Face does: tensors in the model's order until the next one would exceed the size.
template <class B>
void stage_parameters(StagedFiles& files, B& backend, const ParameterStore<B>& store, std::uint64_t largest) {
  using Real = typename B::Real;
  const auto all = tensor_list<B, Real>(store, {{"", store.values(), true}});
  std::vector<TensorList<Real>> shards(1);
  std::uint64_t total = 0, in_shard = 0;
  for (std::size_t i = 0; i < all.tensors.size(); ++i) {
    const std::uint64_t bytes = *tensor_bytes(all.tensors[i].dtype, all.tensors[i].shape);
    if (largest > 0 && in_shard > 0 && in_shard + bytes > largest) {
      shards.emplace_back();
      in_shard = 0;
    }
    shards.back().tensors.push_back(all.tensors[i]);
    shards.back().numbers.push_back(all.numbers[i]);
    in_shard += bytes;
    total += bytes;
  }
  if (shards.size() == 1) return stream_tensors(files.add(model_file), backend, all);
  const auto number = [](std::size_t n) {
    const auto digits = std::to_string(n);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  std::map<std::string, std::string> weight_map;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto name = "model-" + number(i + 1) + "-of-" + number(shards.size()) + ".safetensors";
    for (const auto& tensor : shards[i].tensors) weight_map[tensor.name] = name;
    stream_tensors(files.add(name), backend, shards[i]);
  }
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = total;
  index["weight_map"] = weight_map;
  files.add_json(model_index_file, index);
}

/// Files of a model that a folder may hold from before, and that must not stay beside another one: parameters, for a
/// model.safetensors beside an index would be read instead of it, and with `tokenizer` all that a tokenizer is read
/// from.
inline std::vector<std::filesystem::path> replaced_files(const std::filesystem::path& folder, bool tokenizer) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (std::filesystem::directory_iterator item(folder, error), end; !error && item != end; item.increment(error)) {
    const auto name = item->path().filename().string();
    if (std::ranges::find(key_files, name) != key_files.end() || matches("model-*-of-*.safetensors", name) ||
        (tokenizer && std::ranges::find(tokenizer_files, name) != tokenizer_files.end()))
      found.push_back(item->path());
  }
  return found;
}

/// config.json and, where the model generates, generation_config.json: lengths as they are, the model's own token ids
/// in place of -1. Without `generation` it writes generation_defaults.
template <class Model>
void stage_description(StagedFiles& files, const Model& model, std::optional<GenerationConfig> generation) {
  static_assert(sizeof(CheckStored<Model>));
  auto config = to_json(model.config());
  // Of the tensors beside it. Older versions of Hugging Face know the second key only.
  for (const char* key : {"dtype", "torch_dtype"})
    config[key] = std::is_same_v<typename Model::Backend::Real, double> ? "float64" : "float32";
  files.add_json("config.json", config);
  if constexpr (Decodable<Model>) {
    if (!generation) generation = generation_defaults(model.config());
    files.add_json("generation_config.json", to_json(with_token_ids(*generation, model.config())));
  }
}

inline void create_directory(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw FileError(folder.string(), "cannot be created: " + error.message());
}

}  // namespace detail

/// Writes config.json alone, of a model that generates generation_config.json as well: what a checkpoint needs beside
/// its parameters. Throws FileError.
template <class Model>
void save_description(const std::string& directory, const Model& model,
                      const std::optional<GenerationConfig>& generation = {}) {
  detail::create_directory(directory);
  detail::StagedFiles files(directory);
  detail::stage_description(files, model, generation);
  files.commit();
}

/// Writes config.json, of a model that generates generation_config.json, and the parameters: model.safetensors or,
/// where these exceed `largest_shard` bytes (0: never), shards. `tokenizer`, where there is one, takes the place of the
/// tokenizer that the directory holds. Every file is complete before the first one replaces an older one, so a save
/// that fails leaves the directory as it was; all of them appear together, as StagedFiles says. Keys of the config.json
/// that the model was made of are kept. Throws FileError.
template <class Model>
void save_model(const std::string& directory, typename Model::Backend& backend, const Model& model,
                const std::optional<GenerationConfig>& generation = {}, std::uint64_t largest_shard = 0,
                std::span<const NamedFile> tokenizer = {}) {
  detail::create_directory(directory);
  detail::StagedFiles files(directory);
  detail::stage_parameters(files, backend, model.parameters(), largest_shard);
  detail::stage_description(files, model, generation);
  for (const auto& file : tokenizer) files.add(file);
  files.commit(detail::replaced_files(directory, !tokenizer.empty()));
}

}  // namespace neural_attention::io
