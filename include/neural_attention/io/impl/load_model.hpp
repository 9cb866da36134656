// Definitions of what io/load_model.hpp declares.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "neural_attention/attention/warm_start.hpp"
#include "neural_attention/core/compiled.hpp"
#include "neural_attention/io/load_model.hpp"

namespace neural_attention::io::detail {

NEURAL_ATTENTION_INLINE std::optional<LinearMap> linear_map(const TensorFiles& files, const std::string& prefix) {
  std::size_t tensors = 0;
  files.for_each([&](const std::string& name, const TensorInfo&) { tensors += name.starts_with(prefix); });
  for (const std::string infix : {"", "0."}) {
    const auto* const weight = files.find(prefix + infix + "weight");
    const auto* const bias = files.find(prefix + infix + "bias");
    if (tensors != 2 || !weight || !bias || weight->shape.size() != 2 || bias->shape.size() != 1) continue;
    constexpr std::int64_t widest = 1 << 20;
    if (weight->shape[0] > widest || weight->shape[1] > widest) continue;
    LinearMap map{static_cast<int>(weight->shape[1]), static_cast<int>(weight->shape[0]), {}, {}};
    map.weight.resize(static_cast<std::size_t>(map.in) * static_cast<std::size_t>(map.out));
    map.bias.resize(static_cast<std::size_t>(bias->shape[0]));
    files.read(prefix + infix + "weight", 0, map.weight.size(), map.weight.data());
    files.read(prefix + infix + "bias", 0, map.bias.size(), map.bias.data());
    return map;
  }
  return std::nullopt;
}

}  // namespace neural_attention::io::detail
