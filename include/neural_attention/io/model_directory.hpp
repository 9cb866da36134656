// Model directories as Hugging Face lays them out: config.json, generation_config.json, and the parameters in
// model.safetensors or in shards behind an index.
#pragma once

#include <string>

#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/load_model.hpp"
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/io/roberta_config_json.hpp"
#include "neural_attention/io/save_model.hpp"

namespace neural_attention::io {

/// How the model of a directory translates: as generation_config.json says. Without that file, as in older models, the
/// generation keys of config.json apply on top of generation_defaults.
GenerationConfig load_generation_config(const std::string& directory, const MarianConfig& config);

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/model_directory.hpp"
#endif
