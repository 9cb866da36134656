// Definitions of what io/model_directory.hpp declares.
#pragma once

#include <filesystem>
#include <string>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/load_model.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/io/optional_file.hpp"

namespace neural_attention::io::detail {

NEURAL_ATTENTION_INLINE GenerationConfig load_generation_config(const std::string& directory,
                                                                const GenerationConfig& defaults, int begin,
                                                                bool continues_texts) {
  const auto path = (std::filesystem::path(directory) / "generation_config.json").string();
  if (is_there(path)) {
    GenerationConfig usual;
    if (continues_texts) usual.max_length = defaults.max_length;
    return generation_config(read_json(path), path, usual, continues_texts);
  }
  const auto model_path = (std::filesystem::path(directory) / "config.json").string();
  auto json = read_json(model_path);
  for (const char* const key : {"eos_token_id", "pad_token_id"})
    if (json.contains(key) && json.at(key) == -1) json.erase(key);  // none: the model's config says so, too
  auto how = generation_config(json, model_path, defaults, continues_texts);
  if (get_or<bool>(json, "force_bos_token_to_be_generated", false, model_path) && how.forced_bos_token_id < 0)
    how.forced_bos_token_id = get_or<int>(json, "bos_token_id", begin, model_path);
  how.other_keys.clear();  // the model's
  return how;
}

}  // namespace neural_attention::io::detail
