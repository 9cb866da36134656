// Definitions of what io/model_config_json.hpp declares.
#pragma once

#include <string>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_config_json.hpp"

namespace neural_attention::io {

namespace detail {

NEURAL_ATTENTION_INLINE void require_flag(const nlohmann::json& json, const std::string& path, const char* key,
                                          bool supported, const char* meaning) {
  if (get_or<bool>(json, key, supported, path) != supported)
    throw FileError(path, "has \"" + std::string(key) + "\": " + (supported ? "false" : "true") + "; supported is " +
                              (supported ? "true" : "false") + ": " + meaning);
}

NEURAL_ATTENTION_INLINE bool names(const nlohmann::json& json, const ModelKind& kind, const std::string& path) {
  return json.is_object() && json.contains("model_type") &&
         get<std::string>(json, "model_type", path) == kind.model_type;
}

}  // namespace detail

}  // namespace neural_attention::io
