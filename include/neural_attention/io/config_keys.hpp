// What the config.json files of all models have in common, declared; io/model_config_json.hpp has the definitions, for
// configs of other models. A Config lists its keys (knobs); keys that Hugging Face does not know stand with the
// projectors in the object "neural_attention", which it ignores. ConfigKeys<Config> knows the rest:
//   post_norm, pre_norm             the ModelKind that the file names, by where the layers have their norms; or one
//   kind                            where all such models are of one kind
//   pre_norm_keys                   optional: keys that say the same as the model_type, and are true for pre_norm
//   derived(config)                 keys that follow from others
//   of_a_new_model(config)          further keys of a model that was not read from a file
//   refuse_unsupported(json, path)  throws FileError for what such models may be elsewhere, but not here
//   hugging_face_defaults(pre_norm) the config whose values Hugging Face takes for keys that a file lacks
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "neural_attention/io/staged_files.hpp"

namespace neural_attention::io {

template <class Config>
struct ConfigKeys;

/// The kind of model that a config.json names.
struct ModelKind {
  const char* model_type;
  const char* architecture;
};

/// Whether a Config has keys.
template <class Config>
concept HasConfigKeys = requires {
  &ConfigKeys<Config>::refuse_unsupported;
};

/// The content of a config.json. Further keys of a loaded file come first, unchanged; keys that it left out stay out.
template <HasConfigKeys Config>
nlohmann::ordered_json to_json(const Config& config);

/// Reads a config.json's content; `path` names it in errors. Keys that the file lacks keep the value of `config`, so a
/// file may hold a few sizes only. Throws FileError for a value of the wrong type or one that is not supported.
template <class Config>
Config model_config(const nlohmann::json& json, const std::string& path, Config config);

/// The config.json of a model directory.
template <class Config>
Config load_config(const std::string& path);

namespace detail {

/// The mark of a model whose weights are int8, in its config.json.
inline constexpr const char* quantization_key = "quantization_config";
inline constexpr std::string_view int8_method = "neural_attention_int8";
inline constexpr int int8_version = 1;

/// config.json; `dtype` is the type of the tensors beside it, apart from weights of int8.
template <class Config>
void stage_config(StagedFiles& files, const Config& config, const char* dtype, bool int8);

}  // namespace detail

}  // namespace neural_attention::io
