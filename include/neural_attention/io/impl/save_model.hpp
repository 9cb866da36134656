// Definitions of what io/save_model.hpp declares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/io/model_file_names.hpp"
#include "neural_attention/io/save_model.hpp"
#include "neural_attention/io/staged_files.hpp"

namespace neural_attention::io::detail {

NEURAL_ATTENTION_INLINE std::vector<std::vector<std::size_t>> shards_of(std::span<const std::uint64_t> sizes,
                                                                        std::uint64_t largest) {
  std::vector<std::vector<std::size_t>> shards;
  std::vector<std::size_t> growing;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (largest > 0 && sizes[i] > largest) {
      shards.push_back({i});
      continue;
    }
    if (largest > 0 && bytes + sizes[i] > largest) {
      shards.push_back(std::exchange(growing, {}));
      bytes = 0;
    }
    growing.push_back(i);
    bytes += sizes[i];
  }
  if (!growing.empty()) shards.push_back(std::move(growing));
  return shards;
}

NEURAL_ATTENTION_INLINE void stage_index(StagedFiles& files, std::uint64_t total_bytes,
                                         const std::map<std::string, std::string>& weight_map) {
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = total_bytes;
  index["weight_map"] = weight_map;
  files.add_json(model_index_file, index);
}

NEURAL_ATTENTION_INLINE void stage_generation(StagedFiles& files, const GenerationConfig& generation) {
  files.add_json("generation_config.json", to_json(generation));
}

NEURAL_ATTENTION_INLINE std::vector<std::filesystem::path> replaced_files(const std::filesystem::path& folder,
                                                                          NewFiles written) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (std::filesystem::directory_iterator item(folder, error), end; !error && item != end; item.increment(error)) {
    const auto name = item->path().filename().string();
    if (is_one_of(name, key_files) || is_shard(name) ||
        (written == NewFiles::ModelAndTokenizer && is_one_of(name, tokenizer_files)))
      found.push_back(item->path());
  }
  return found;
}

NEURAL_ATTENTION_INLINE void create_directory(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw FileError(folder.string(), "cannot be created: " + error.message());
}

}  // namespace neural_attention::io::detail
