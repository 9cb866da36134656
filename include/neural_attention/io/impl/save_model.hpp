// Definitions of what io/save_model.hpp declares.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/name_pattern.hpp"
#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/io/save_model.hpp"
#include "neural_attention/io/staged_files.hpp"

namespace neural_attention::io::detail {

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
    if (std::ranges::find(key_files, name) != key_files.end() || matches("model-*-of-*.safetensors", name) ||
        (written == NewFiles::ModelAndTokenizer && std::ranges::find(tokenizer_files, name) != tokenizer_files.end()))
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
