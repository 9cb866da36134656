// Definitions of what io/load_model.hpp declares.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "neural_attention/attention/warm_start.hpp"
#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/config_keys.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/load_model.hpp"
#include "neural_attention/io/optional_file.hpp"

namespace neural_attention::io {

NEURAL_ATTENTION_INLINE bool holds_int8(const std::string& directory) {
  const auto path = std::filesystem::path(directory) / "config.json";
  if (!is_there(path)) return false;
  const auto json = read_json(path);
  if (!json.is_object() || !json.contains(detail::quantization_key) || json.at(detail::quantization_key).is_null())
    return false;
  const auto& how = json.at(detail::quantization_key);
  const auto name = path.string();
  if (!how.is_object()) throw FileError(name, "must hold an object at \"quantization_config\"");
  const auto method = get_or<std::string>(how, "quant_method", "", name);
  if (method != detail::int8_method)
    throw FileError(name, "says that weights are quantised by " + detail::in_quotes(method) + "; only weights of \"" +
                              std::string(detail::int8_method) + "\" are read");
  const int version = get_or<int>(how, "version", 0, name);
  if (version != detail::int8_version)
    throw FileError(name, "says that its int8 weights have the version " + std::to_string(version) + ", and version " +
                              std::to_string(detail::int8_version) + " is the one that is read");
  return true;
}

namespace detail {

inline std::optional<LinearMapNames> linear_map_names_in(const TensorFiles& files, const std::string& prefix) {
  return linear_map_names(
      prefix, [&](auto&& use) { files.for_each([&](const std::string& name, const TensorInfo&) { use(name); }); });
}

NEURAL_ATTENTION_INLINE std::optional<LinearMap> linear_map(const TensorFiles& files, const std::string& prefix) {
  const auto names = linear_map_names_in(files, prefix);
  if (!names) return std::nullopt;
  const auto is_width = [](std::int64_t extent) { return extent >= 1 && extent <= 1 << 20; };
  const auto& shape = files.find(names->weight)->shape;
  if (shape.size() != 2 || !is_width(shape[0]) || !is_width(shape[1])) return std::nullopt;
  LinearMap map{static_cast<int>(shape[1]), static_cast<int>(shape[0]), {}, {}};
  map.weight.resize(static_cast<std::size_t>(map.in) * static_cast<std::size_t>(map.out));
  map.bias.resize(static_cast<std::size_t>(map.out));
  files.read(names->weight, 0, map.weight.size(), map.weight.data());
  if (names->bias.empty()) return map;
  const auto& of_bias = files.find(names->bias)->shape;
  if (of_bias != std::vector{shape[0]}) return std::nullopt;
  files.read(names->bias, 0, map.bias.size(), map.bias.data());
  return map;
}

NEURAL_ATTENTION_INLINE void refuse_map(const TensorFiles& files, const std::string& prefix, const std::string& why) {
  const auto name = linear_map_names_in(files, prefix)->weight;
  const auto& tensor = files.stored(name);
  throw FileError(
      files.file_of(name).path().string(),
      "the linear map of " + told(tensor.name) + " " + format_shape(tensor.shape) + " does not fit the model: " + why);
}

}  // namespace detail

}  // namespace neural_attention::io
