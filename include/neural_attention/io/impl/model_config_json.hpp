// Definitions of what io/model_config_json.hpp declares.
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <tuple>

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

NEURAL_ATTENTION_INLINE void refuse_kind(const nlohmann::json& json, const std::string& expected,
                                         const std::string& path) {
  throw FileError(path, "describes a model of type " + in_quotes(get<std::string>(json, "model_type", path)) +
                            ", expected " + expected);
}

NEURAL_ATTENTION_INLINE std::vector<LayerProjector> read_layer_projectors(const nlohmann::json& layers,
                                                                          const std::string& path) {
  if (!layers.is_object()) throw FileError(path, "must hold an object at \"layer_projectors\"");
  std::vector<LayerProjector> found;
  for (const auto& [name, roles] : layers.items()) {
    const auto dot = name.rfind('.');
    int layer = -1;
    const auto* const end = name.data() + name.size();
    const auto number = dot == std::string::npos ? std::from_chars_result{end, std::errc::invalid_argument}
                                                 : std::from_chars(name.data() + dot + 1, end, layer);
    if (number.ec != std::errc() || number.ptr != end || layer < 0 || !roles.is_object())
      throw FileError(path, "has " + in_quotes(name) +
                                " in \"layer_projectors\"; expected are objects such as \"encoder.2\": {\"query\": …}");
    for (const auto& [role, described] : roles.items())
      found.push_back({name.substr(0, dot), layer, role, read_projector(described, path)});
  }
  std::ranges::sort(found, {}, [](const auto& one) { return std::tie(one.place, one.layer, one.role); });
  return found;
}

NEURAL_ATTENTION_INLINE nlohmann::ordered_json written_layer_projectors(const std::vector<LayerProjector>& layers) {
  auto written = nlohmann::ordered_json::object();
  for (const auto& one : layers)
    written[one.place + "." + std::to_string(one.layer)][one.role] = written_projector(one.projector);
  return written;
}

}  // namespace detail

}  // namespace neural_attention::io
