// A model as a directory in Hugging Face's layout: config.json, generation_config.json if it generates, and the
// parameters in model.safetensors or in shards with an index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "neural_attention/core/model_contracts.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/decode/generation_config.hpp"
#include "neural_attention/io/config_keys.hpp"
#include "neural_attention/io/model_file_names.hpp"
#include "neural_attention/io/save_tensors.hpp"
#include "neural_attention/io/staged_files.hpp"

#if defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/io/roberta_config_json.hpp"
#include "neural_attention/models/paper.hpp"
#endif

namespace neural_attention::io {

namespace detail {

/// What ties shards together: the size of all tensors and the file that each is in.
void stage_index(StagedFiles& files, std::uint64_t total_bytes, const std::map<std::string, std::string>& weight_map);

/// The tensors of each shard, by number, for tensors of these sizes in bytes. Divided as in Hugging Face: in the
/// model's order, until the next one would exceed `largest` bytes (0: no limit); a larger tensor has a shard of its
/// own, in front of the one that is being filled.
std::vector<std::vector<std::size_t>> shards_of(std::span<const std::uint64_t> sizes, std::uint64_t largest);

/// model.safetensors or, if that would be larger than `largest` bytes (0: never), shards with their index.
template <class B>
void stage_parameters(StagedFiles& files, B& backend, const ParameterStore<B>& store, std::uint64_t largest) {
  using Real = typename B::Real;
  const auto all = tensor_list<B, Real>(store, {{"", store.values(), true}});
  std::vector<std::uint64_t> sizes;
  for (const auto& tensor : all.tensors) sizes.push_back(*tensor_bytes(tensor.dtype, tensor.shape));
  const auto shards = shards_of(sizes, largest);
  if (shards.size() <= 1) return stream_tensors(files.add(model_file), backend, all);
  const auto number = [](std::size_t n) {
    const auto digits = std::to_string(n);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  std::map<std::string, std::string> weight_map;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto name = "model-" + number(i + 1) + "-of-" + number(shards.size()) + ".safetensors";
    TensorList<Real> shard;
    for (const auto one : shards[i]) {
      weight_map[all.tensors[one].name] = name;
      shard.tensors.push_back(all.tensors[one]);
      shard.numbers.push_back(all.numbers[one]);
    }
    stream_tensors(files.add(name), backend, shard);
  }
  stage_index(files, std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0}), weight_map);
}

/// The files that are written to a folder.
enum class NewFiles { Model, ModelAndTokenizer };

/// Old files in a folder that must not stay beside new ones: parameters, because a model.safetensors would be read
/// instead of an index beside it, and all files that a tokenizer is read from, if there is a new one.
std::vector<std::filesystem::path> replaced_files(const std::filesystem::path& folder, NewFiles written);

void stage_generation(StagedFiles& files, const GenerationConfig& generation);

/// config.json and, for a model that generates, generation_config.json: lengths as they are, the model's own token ids
/// in place of -1. Without `generation`, writes generation_defaults.
template <class Model>
void stage_description(StagedFiles& files, const Model& model, std::optional<GenerationConfig> generation) {
  static_assert(sizeof(CheckStored<Model>));
  constexpr bool is_double = std::is_same_v<typename Model::Backend::Real, double>;
  stage_config(files, model.config(), is_double ? "float64" : "float32", model.parameters().holds_int8());
  if constexpr (Decodable<Model>) {
    if (!generation) generation = generation_defaults(model.config());
    stage_generation(files, with_token_ids(*generation, model.config()));
  }
}

void create_directory(const std::filesystem::path& folder);

}  // namespace detail

/// Writes only config.json and, for a model that generates, generation_config.json: what a checkpoint needs besides its
/// parameters. Throws FileError.
template <class Model>
void save_description(const std::string& directory, const Model& model,
                      const std::optional<GenerationConfig>& generation = {}) {
  detail::create_directory(directory);
  detail::StagedFiles files(directory);
  detail::stage_description(files, model, generation);
  files.commit();
}

/// Writes config.json, generation_config.json for a model that generates, and the parameters: model.safetensors or, if
/// these exceed `largest_shard` bytes (0: never), shards. `tokenizer`, if given, replaces the tokenizer in the
/// directory. Every file is complete before the first one replaces an older one, and old ones go last, so a failed save
/// leaves the directory as it was; all of them appear together, as StagedFiles says. Keeps the keys of the config.json
/// that the model was made of. A model for Int8Inference is written as int8 with scales, each tensor by itself, and
/// config.json says so. Throws FileError.
template <class Model>
void save_model(const std::string& directory, typename Model::Backend& backend, const Model& model,
                const std::optional<GenerationConfig>& generation = {}, std::uint64_t largest_shard = 0,
                std::span<const NamedFile> tokenizer = {}) {
  const HostWork work("writing a model");
  detail::create_directory(directory);
  detail::StagedFiles files(directory);
  detail::stage_parameters(files, backend, model.parameters(), largest_shard);
  detail::stage_description(files, model, generation);
  for (const auto& file : tokenizer) files.add(file);
  files.commit(detail::replaced_files(
      directory, tokenizer.empty() ? detail::NewFiles::Model : detail::NewFiles::ModelAndTokenizer));
}

#if defined(NEURAL_ATTENTION_COMPILED)
extern template void save_description(const std::string&, const paper::Marian&, const std::optional<GenerationConfig>&);
extern template void save_model(const std::string&, Cpu<float>&, const paper::Marian&,
                                const std::optional<GenerationConfig>&, std::uint64_t, std::span<const NamedFile>);
extern template void save_description(const std::string&, const paper::Roberta&,
                                      const std::optional<GenerationConfig>&);
extern template void save_model(const std::string&, Cpu<float>&, const paper::Roberta&,
                                const std::optional<GenerationConfig>&, std::uint64_t, std::span<const NamedFile>);
#endif

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/save_model.hpp"
#endif
