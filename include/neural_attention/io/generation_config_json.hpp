// GenerationConfig to and from Hugging Face's generation_config.json, or from the generation keys that older models
// keep in config.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "neural_attention/decode/generation_config.hpp"

namespace neural_attention::io {

namespace detail {

/// All keys with their values.
nlohmann::ordered_json all_generation_keys(const GenerationConfig& config);

}  // namespace detail

/// Reads a file's content; `path` names it in errors. Keys that it lacks or that are null keep the value of `config`:
/// by default Hugging Face's, except max_length, which is 21 there. stop_strings are supported for a model that
/// `continues_texts`. Throws FileError for a value of the wrong type and for an empty stop string.
/// Whether the values make sense and are supported depends on what else is set: GenerationConfig::fault() tells.
GenerationConfig generation_config(const nlohmann::json& json, const std::string& path, GenerationConfig config = {},
                                   bool continues_texts = false);

/// Throws if the settings do not allow a search with a model of `vocab_size` tokens: FileError if `read`, the settings
/// in the file, has the same fault, otherwise ConfigError.
void check_generation(const GenerationConfig& how, const GenerationConfig& read, int vocab_size);

/// The settings that differ from Hugging Face's defaults, and the keys that every Marian model has.
nlohmann::ordered_json to_json(const GenerationConfig& config);

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/generation_config_json.hpp"
#endif
