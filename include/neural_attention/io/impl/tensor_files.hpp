// Definitions of what io/tensor_files.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/optional_file.hpp"
#include "neural_attention/io/safetensors.hpp"
#include "neural_attention/io/staged_files.hpp"
#include "neural_attention/io/tensor_files.hpp"

namespace neural_attention::io {

NEURAL_ATTENTION_INLINE TensorFiles TensorFiles::in_directory(const std::filesystem::path& directory) {
  if (is_there(directory / model_file)) return TensorFiles(directory / model_file);
  if (is_there(directory / model_index_file)) return TensorFiles(directory, model_index_file);
  if (const auto aside = detail::files_left_aside(directory); !aside.empty()) {
    constexpr std::size_t most = 20;
    std::string names;
    for (std::size_t count = 0; const auto& [name, before] : aside)
      if (count++ < most) names += (names.empty() ? "" : ", ") + detail::in_quotes(name);
    throw FileError(
        (directory / model_file).string(),
        "does not exist: writing this directory was cut off or has not ended, and its old files are called " + names +
            (aside.size() > most ? " and so on" : "") + "; give them their names back, or write the directory again");
  }
  const bool pickled =
      is_there(directory / "pytorch_model.bin") || is_there(directory / "pytorch_model.bin.index.json");
  throw FileError((directory / model_file).string(),
                  pickled ? "does not exist; make it of pytorch_model.bin with convert_pytorch_model.py"
                          : "does not exist, and neither does " + std::string(model_index_file));
}

NEURAL_ATTENTION_INLINE const TensorInfo* TensorFiles::find(std::string_view name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : found->second.tensor;
}

NEURAL_ATTENTION_INLINE TensorFiles::TensorFiles(const std::filesystem::path& directory, std::string_view index)
    : path_(directory / index) {
  const auto json = read_json(path_);
  const auto fault = [&](const std::string& what) { throw FileError(path_.string(), what); };
  if (!json.is_object() || !json.contains("weight_map") || !json.at("weight_map").is_object())
    fault("must hold an object with the object weight_map");
  constexpr std::size_t longest_name = 255;
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [name, shard] : json.at("weight_map").items()) {
    if (!shard.is_string()) fault("weight_map names no file for the tensor " + detail::in_quotes(name));
    const auto file = shard.get<std::string>();
    const bool plain = in_quotes(file, longest_name) == '"' + file + '"';  // neither long nor with control characters
    if (file.empty() || !plain || std::filesystem::path(file).filename() != file || file == "." || file == "..")
      fault("weight_map names " + detail::in_quotes(file) + ", which is not a file of the directory itself");
    shards[file].insert(name);
  }
  if (shards.empty()) fault("weight_map is empty");
  for (const auto& [file, names] : shards) {
    SafetensorsFile shard(directory / file);
    for (const auto& name : names)
      if (!shard.find(name))
        fault("weight_map says that " + file + " holds " + detail::in_quotes(name) + ", but it does not");
    for (const auto& tensor : shard.tensors())
      if (!names.contains(tensor.name))
        fault("the shard " + file + " holds " + detail::in_quotes(tensor.name) +
              ", which weight_map does not name for it");
    add(std::move(shard));
  }
}

NEURAL_ATTENTION_INLINE void TensorFiles::divide(const FileLayout& layout) {
  for (auto at = places_.begin(); at != places_.end();) {
    const auto& [name, place] = *at++;
    const OwnerAndLeaf split(name);
    const auto* const map = split.of_map() ? layout.find(split.owner) : nullptr;
    const bool matrix = split.leaf == "weight";
    const auto& shape = place.tensor->shape;
    const std::size_t count = map && map->joins() ? map->parts.size() : 1;
    if (!map || (!matrix && count == 1) || shape.size() != (matrix ? 2u : 1u) ||
        shape.back() % static_cast<std::int64_t>(count) != 0)
      continue;
    const auto part_name = [&](std::size_t i) {
      return std::string(split.owner) + "." + std::string(map->parts[i]) + "." + std::string(split.leaf);
    };
    bool taken = false;
    for (std::size_t i = 0; map->joins() && i < count; ++i) taken = taken || places_.contains(part_name(i));
    if (taken) continue;
    const auto whole = places_.extract(name);
    const auto& from = whole.mapped();
    const auto out = shape.back() / static_cast<std::int64_t>(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto& part = *parts_.emplace_back(std::make_unique<TensorInfo>());
      part.name = map->joins() ? part_name(i) : whole.key();
      part.dtype = from.tensor->dtype;
      part.shape = matrix ? std::vector<std::int64_t>{out, shape.front()} : std::vector<std::int64_t>{out};
      places_[part.name] = {from.file, &part, from.tensor, i * static_cast<std::size_t>(out)};
    }
  }
}

NEURAL_ATTENTION_INLINE std::span<const std::byte> TensorFiles::data(std::string_view name) const {
  const auto& place = places_.find(name)->second;
  return files_[place.file].data(*place.tensor);
}

NEURAL_ATTENTION_INLINE const TensorInfo& TensorFiles::stored(std::string_view name) const {
  const auto& place = places_.find(name)->second;
  return place.whole ? *place.whole : *place.tensor;
}

NEURAL_ATTENTION_INLINE void TensorFiles::add(SafetensorsFile file) {
  files_.push_back(std::move(file));  // a file's tensors stay where they are when it moves
  for (const auto& tensor : files_.back().tensors()) places_[tensor.name] = {files_.size() - 1, &tensor};
}

}  // namespace neural_attention::io
