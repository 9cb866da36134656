// A model as a directory in Hugging Face's layout: config.json, generation_config.json where it generates, and the
// parameters in model.safetensors or in shards behind an index.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/io/parameter_file.hpp"

namespace neural_attention::io {

namespace detail {

/// Files that take their names together: each is complete and on the device before the first one is renamed.
class StagedFiles {
 public:
  explicit StagedFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  AtomicFile& add(std::string_view name) {
    return *files_.emplace_back(std::make_unique<AtomicFile>(folder_ / std::filesystem::path(name)));
  }
  void add_json(std::string_view name, const nlohmann::ordered_json& value) {
    auto& file = add(name);
    file.write(json_text(value, file.path(), 2) + '\n');
  }
  void commit() {
    for (const auto& file : files_) file->flush();
    for (const auto& file : files_) file->commit();
  }
  bool contains(const std::filesystem::path& path) const {
    return std::ranges::any_of(files_, [&](const auto& file) { return file->path() == path; });
  }

 private:
  std::filesystem::path folder_;
  std::vector<std::unique_ptr<AtomicFile>> files_;
};

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

/// Removes parameter files of an earlier save that `files` did not replace: a model.safetensors beside an index would
/// be read instead of it.
inline void remove_stale_parameters(const std::filesystem::path& folder, const StagedFiles& files) {
  std::error_code ignored;
  std::vector<std::filesystem::path> stale;
  for (const auto& item : std::filesystem::directory_iterator(folder, ignored)) {
    const auto name = item.path().filename().string();
    const bool of_parameters =
        name == model_file || name == model_index_file || matches("model-*-of-*.safetensors", name);
    if (of_parameters && !files.contains(item.path())) stale.push_back(item.path());
  }
  for (const auto& path : stale) std::filesystem::remove(path, ignored);
}

/// config.json and, where the model generates, generation_config.json: lengths as they are, the model's own token ids
/// in place of -1. Without `generation` those of generation_defaults.
template <class Model>
void stage_description(StagedFiles& files, const Model& model, std::optional<GenerationConfig> generation) {
  auto config = to_json(model.config());
  config["torch_dtype"] = std::is_same_v<typename Model::Backend::Real, double> ? "float64" : "float32";
  files.add_json("config.json", config);
  if constexpr (requires { typename Model::DecoderState; }) {
    if (!generation) generation = generation_defaults(model.config());
    const auto checked = resolved(*generation, model.config());
    generation->decoder_start_token_id = checked.decoder_start_token_id;
    generation->eos_token_id = checked.eos_token_id;
    generation->pad_token_id = checked.pad_token_id;
    files.add_json("generation_config.json", to_json(*generation));
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
/// where these exceed `largest_shard` bytes (0: never), shards. Every file is complete before the first one replaces an
/// older one, so a save that fails leaves the directory as it was. Keys of the config.json that the model was made of
/// are kept. Throws FileError.
template <class Model>
void save_model(const std::string& directory, typename Model::Backend& backend, const Model& model,
                const std::optional<GenerationConfig>& generation = {}, std::uint64_t largest_shard = 0) {
  detail::create_directory(directory);
  detail::StagedFiles files(directory);
  detail::stage_parameters(files, backend, model.parameters(), largest_shard);
  detail::stage_description(files, model, generation);
  files.commit();
  detail::remove_stale_parameters(directory, files);
}

}  // namespace neural_attention::io
