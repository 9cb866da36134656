// Definitions of what io/model_config_json.hpp declares.
#pragma once

#include <string>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/nn/activation.hpp"

namespace neural_attention::io {

NEURAL_ATTENTION_INLINE Activation activation_named(const std::string& name) {
  if (name == "swish" || name == "silu") return Activation::Silu;
  if (name == "relu") return Activation::Relu;
  if (name == "gelu") return Activation::Gelu;
  if (name == "mish") return Activation::Mish;
  throw ConfigError("there is no activation function " + detail::in_quotes(name) +
                    "; known are swish, relu, gelu, mish");
}

NEURAL_ATTENTION_INLINE std::string name_of(Activation f) {
  switch (f) {
    case Activation::Relu:
      return "relu";
    case Activation::Gelu:
      return "gelu";
    case Activation::Mish:
      return "mish";
    case Activation::Silu:
      return "swish";
    case Activation::Identity:
      break;
  }
  return "linear";
}

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
