// TensorFiles: the tensors of one safetensors file, or of several that model.safetensors.index.json ties together:
//   {"metadata": {…}, "weight_map": {tensor: "model-00001-of-00002.safetensors", …}}.
// Every shard is opened and checked at once, and must hold exactly the tensors that the index says it does.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/safetensors.hpp"

namespace neural_attention::io {

inline constexpr std::string_view model_file = "model.safetensors";
inline constexpr std::string_view model_index_file = "model.safetensors.index.json";

class TensorFiles {
 public:
  explicit TensorFiles(const std::filesystem::path& file) : path_(file) { add(SafetensorsFile(file)); }

  /// model.safetensors or, where the directory has none, the shards of its index. Throws FileError where there is
  /// neither, where the index is malformed, and where a shard is missing or holds other tensors than the index says.
  static TensorFiles in_directory(const std::filesystem::path& directory) {
    std::error_code ignored;
    if (std::filesystem::exists(directory / model_file, ignored)) return TensorFiles(directory / model_file);
    if (std::filesystem::exists(directory / model_index_file, ignored)) return TensorFiles(directory, model_index_file);
    const bool pickled = std::filesystem::exists(directory / "pytorch_model.bin", ignored) ||
                         std::filesystem::exists(directory / "pytorch_model.bin.index.json", ignored);
    throw FileError((directory / model_file).string(),
                    pickled ? "does not exist; make it of pytorch_model.bin with convert_pytorch_model.py"
                            : "does not exist, and neither does " + std::string(model_index_file));
  }

  /// Null where there is no such tensor. The pointer lives as long as this.
  const TensorInfo* find(std::string_view name) const {
    const auto found = places_.find(name);
    return found == places_.end() ? nullptr : found->second.tensor;
  }

  /// The file that holds `name`, which must be there.
  const SafetensorsFile& file_of(std::string_view name) const { return files_[places_.find(name)->second.file]; }

  /// Every tensor, by name.
  void for_each(auto&& use) const {
    for (const auto& [name, place] : places_) use(name, *place.tensor);
  }

  /// What errors name: the file, or the index of several.
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Place {
    std::size_t file;
    const TensorInfo* tensor;
  };

  TensorFiles(const std::filesystem::path& directory, std::string_view index) : path_(directory / index) {
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

  void add(SafetensorsFile file) {
    files_.push_back(std::move(file));  // a file's tensors stay where they are when it moves
    for (const auto& tensor : files_.back().tensors()) places_[tensor.name] = {files_.size() - 1, &tensor};
  }

  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace neural_attention::io
