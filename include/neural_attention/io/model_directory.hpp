// Model directories as Hugging Face lays them out: config.json, generation_config.json, and the parameters in
// model.safetensors or in shards behind an index.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/load_model.hpp"
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/io/roberta_config_json.hpp"
#include "neural_attention/io/save_model.hpp"

namespace neural_attention::io {

/// How a directory's model translates: as generation_config.json says or, where there is none, as older models have it,
/// the generation keys of config.json on top of generation_defaults.
inline GenerationConfig load_generation_config(const std::string& directory, const MarianConfig& config) {
  const auto path = (std::filesystem::path(directory) / "generation_config.json").string();
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return generation_config(read_json(path), path);
  const auto model_path = (std::filesystem::path(directory) / "config.json").string();
  const auto json = read_json(model_path);
  auto how = generation_config(json, model_path, generation_defaults(config));
  if (get_or<bool>(json, "force_bos_token_to_be_generated", false, model_path) && how.forced_bos_token_id < 0)
    how.forced_bos_token_id = get_or<int>(json, "bos_token_id", config.eos_token_id, model_path);
  how.other_keys.clear();  // those of the model
  return how;
}

}  // namespace neural_attention::io
