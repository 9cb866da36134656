// TensorFiles: the tensors of one safetensors file, or of several that model.safetensors.index.json ties together:
//   {"metadata": {…}, "weight_map": {tensor: "model-00001-of-00002.safetensors", …}}.
// Every shard is opened and checked at once, and must hold exactly the tensors that the index says it does.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/io/safetensors.hpp"

namespace neural_attention::io {

inline constexpr std::string_view model_file = "model.safetensors";
inline constexpr std::string_view model_index_file = "model.safetensors.index.json";

class TensorFiles {
 public:
  explicit TensorFiles(const std::filesystem::path& file) : path_(file) { add(SafetensorsFile(file)); }

  /// model.safetensors or, if the directory has none, the shards of its index. Throws FileError if there is neither, if
  /// the index is malformed, and if a shard is missing or holds other tensors than the index says.
  static TensorFiles in_directory(const std::filesystem::path& directory);

  /// Null if there is no such tensor. The pointer lives as long as this.
  const TensorInfo* find(std::string_view name) const;

  /// The file that holds `name`, which must be there.
  const SafetensorsFile& file_of(std::string_view name) const { return files_[places_.find(name)->second.file]; }

  /// Every tensor, by name.
  void for_each(auto&& use) const {
    for (const auto& [name, place] : places_) use(name, *place.tensor);
  }

  /// The name in errors: the file, or the index of several files.
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Place {
    std::size_t file;
    const TensorInfo* tensor;
  };

  TensorFiles(const std::filesystem::path& directory, std::string_view index);

  void add(SafetensorsFile file);

  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/tensor_files.hpp"
#endif
