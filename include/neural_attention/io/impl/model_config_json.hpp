// Definitions of what io/model_config_json.hpp declares.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/nearest_name.hpp"
#include "neural_attention/core/quoted.hpp"
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

NEURAL_ATTENTION_INLINE void require_known_keys(const nlohmann::json& object,
                                                const std::vector<std::string_view>& known, const std::string& where,
                                                const std::string& path) {
  for (const auto& [key, value] : object.items())
    if (std::ranges::find(known, key) == known.end())
      throw FileError(path, "has the unknown key " + quoted_with_nearest(key, known) + " in " + in_quotes(where));
}

NEURAL_ATTENTION_INLINE const nlohmann::json& own_object(const nlohmann::json& json, const char* key,
                                                         const std::string& path) {
  static const auto nothing = nlohmann::json::object();
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return nothing;
  if (!found->is_object())
    throw FileError(path, "must hold an object at " + in_quotes(key) + ", but has " + describe_json(*found));
  return *found;
}

/// "expansion": a factor; or "hidden_width": a number of columns, or "match". Neither: the projector's usual width.
inline HiddenWidth read_hidden_width(const nlohmann::json& described, const std::string& role,
                                     const std::string& path) {
  if (!described.contains("hidden_width")) {
    if (!described.contains("expansion")) return {};
    return HiddenWidth::times(get<double>(described, "expansion", path));
  }
  if (described.contains("expansion"))
    throw FileError(path, "has both \"expansion\" and \"hidden_width\" for the projector of " + role +
                              "; one of them is its width");
  const auto& width = described.at("hidden_width");
  if (width.is_string() && width == "match") return HiddenWidth::matched();
  if (width.is_string())
    throw FileError(path, "has \"hidden_width\": " + in_quotes(width.get<std::string>()) + " for the projector of " +
                              role + "; it must be a number of columns or \"match\"");
  return HiddenWidth::columns(get<int>(described, "hidden_width", path));
}

/// A number that is whole is written as an integer.
inline nlohmann::ordered_json whole_or_real(double number) {
  if (number == std::round(number) && std::abs(number) < 1e15) return static_cast<std::int64_t>(number);
  return number;
}

inline void write_hidden_width(const HiddenWidth& width, nlohmann::ordered_json& described) {
  switch (width.kind()) {
    case HiddenWidth::Kind::Times:
      described["expansion"] = whole_or_real(width.number());
      break;
    case HiddenWidth::Kind::Columns:
      described["hidden_width"] = whole_or_real(width.number());
      break;
    case HiddenWidth::Kind::Matched:
      described["hidden_width"] = "match";
      break;
    case HiddenWidth::Kind::Usual:
      break;
  }
}

NEURAL_ATTENTION_INLINE ProjectorConfig read_projector(const nlohmann::json& described, const std::string& role,
                                                       const std::string& path, ProjectorConfig projector) {
  if (!described.is_object() || !described.contains("type"))
    throw FileError(path, "has " + describe_json(described) + " for the projector of " + role +
                              "; expected is an object such as {\"type\": \"neural\", \"expansion\": 2}");
  require_known_keys(described, {"type", "expansion", "hidden_width"}, role, path);
  projector.type = get<std::string>(described, "type", path);
  projector.hidden = read_hidden_width(described, role, path);
  return projector;
}

NEURAL_ATTENTION_INLINE nlohmann::ordered_json written_projector(const ProjectorConfig& projector) {
  nlohmann::ordered_json described = {{"type", projector.type}};
  write_hidden_width(projector.hidden, described);
  return described;
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
    const bool canonical = name == name.substr(0, dot) + "." + std::to_string(layer);  // 1, and not 01
    if (number.ec != std::errc() || number.ptr != end || layer < 0 || !canonical || !roles.is_object() || roles.empty())
      throw FileError(path, "has " + in_quotes(name) +
                                " in \"layer_projectors\"; expected are objects such as \"encoder.2\": {\"query\": …}");
    for (const auto& [role, described] : roles.items())
      found.push_back({name.substr(0, dot), layer, role, read_projector(described, role + " of " + name, path)});
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
