// Projectors of single layers. A model's config has one projector for each role (query, key, value, output) and a list
// of the layers where a role has another one. layer_names reads the text that says it: "0-2=linear,3-=nonlinear_query".
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/projector_config.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention {

/// The attentions of one kind, one in each layer of a stack: `encoder` and `decoder` are the attentions of a
/// stack to itself, `cross` the attentions of a decoder to the encoder's output.
struct AttentionPlace {
  std::string_view name;
  int layers = 0;
};

/// The projector of one role of one attention, if it is another than the config's.
struct LayerProjector {
  std::string place;  ///< the name of an AttentionPlace
  int layer = 0;      ///< from 0
  std::string role;   ///< query, key, value or output
  ProjectorConfig projector = {};
};

/// The projectors of a model, for a config to derive from that has besides
///   std::vector<AttentionPlace> attention_places() const
struct ModelProjectors : Roles<ProjectorConfig> {
  std::vector<LayerProjector> layer_projectors = {};
};

/// "encoder layer 2"
inline std::string attention_text(std::string_view place, int layer) {
  return std::string(place) + " layer " + std::to_string(layer);
}

/// The projectors of the attention of one layer.
inline Roles<ProjectorConfig> projectors_at(const ModelProjectors& config, std::string_view place, int layer) {
  auto result = static_cast<const Roles<ProjectorConfig>&>(config);
  for (const auto& other : config.layer_projectors)
    if (other.place == place && other.layer == layer)
      for_each_role(
          [&](const char* role, ProjectorConfig& projector) {
            if (other.role == role) projector = other.projector;
          },
          result);
  return result;
}

/// Calls use(role, projector) for every projector that a config names: one for each role, then the projectors of
/// single layers, whose roles are called "query of encoder layer 2".
void for_each_named_projector(auto&& use, auto& config) {
  for_each_role([&](const char* role, auto& projector) { use(std::string(role), projector); }, config);
  if constexpr (requires { config.layer_projectors; })
    for (auto& other : config.layer_projectors)
      use(other.role + " of " + attention_text(other.place, other.layer), other.projector);
}

/// The attention of one layer, and what its projector is called.
struct LayerName {
  std::string_view place;
  int layer;
  std::string name;
};

/// The layers that a text such as "encoder:0-2=linear,encoder:3-=neural,cross=linear" gives a name. An item is
/// LAYERS=NAME, and LAYERS a number, a range with or without an end, or these after a place and a colon, or a place
/// alone; without a place it means the same layers of all places. Throws ConfigError if a layer does not exist, has
/// two names, or has none.
inline std::vector<LayerName> layer_names(std::string_view text, const std::vector<AttentionPlace>& places) {
  std::vector<LayerName> found;
  const auto is_named = [&](std::string_view place, int layer) {
    return std::ranges::any_of(found, [&](const auto& one) { return one.place == place && one.layer == layer; });
  };
  const auto add = [&](std::string_view item) {
    const auto quoted = in_quotes(item);
    const auto malformed = [&]() -> ConfigError {
      return ConfigError(quoted + " is not LAYERS=PROJECTOR, such as 0-2=linear, " + std::string(places.back().name) +
                         ":3-=neural or " + std::string(places.back().name) + "=linear");
    };
    const auto equals = item.find('=');
    if (equals == 0 || equals == std::string_view::npos || equals + 1 == item.size() || item.front() == ':')
      throw malformed();
    const auto layers = item.substr(0, equals);
    const auto split = layers.find(':');
    const bool digit = layers.front() >= '0' && layers.front() <= '9';
    const auto wanted = split != std::string_view::npos ? layers.substr(0, split) : digit ? "" : layers;
    const auto range = split != std::string_view::npos ? layers.substr(split + 1) : digit ? layers : "0-";
    int first = 0, last = 0;
    const auto* const end = range.data() + range.size();
    const auto [rest, fault] = std::from_chars(range.data(), end, first);
    if (fault != std::errc()) throw malformed();
    const bool open = rest != end && rest + 1 == end && *rest == '-';
    if (rest == end) {
      last = first;
    } else if (!open) {
      const auto [behind, other_fault] = std::from_chars(rest + 1, end, last);
      if (*rest != '-' || other_fault != std::errc() || behind != end || last < first) throw malformed();
    }
    bool known = false;
    for (const auto& place : places) {
      if (!wanted.empty() && wanted != place.name) continue;
      known = true;
      const int until = open ? std::max(first, place.layers - 1) : last;
      if (until >= place.layers)
        throw ConfigError(quoted + " names layer " + std::to_string(std::max(first, place.layers)) + " of " +
                          std::string(place.name) + ", which has layers 0 to " + std::to_string(place.layers - 1));
      for (int layer = first; layer <= until; ++layer) {
        if (is_named(place.name, layer))
          throw ConfigError(quoted + " names " + attention_text(place.name, layer) + " a second time");
        found.push_back({place.name, layer, std::string(item.substr(equals + 1))});
      }
    }
    if (known) return;
    std::string all;
    for (const auto& place : places) all += (all.empty() ? "" : ", ") + std::string(place.name);
    throw ConfigError(quoted + " names attentions that this model does not have; it has " + all);
  };
  for (auto left = text;;) {
    const auto comma = left.find(',');
    add(left.substr(0, comma));
    if (comma == std::string_view::npos) break;
    left.remove_prefix(comma + 1);
  }
  for (const auto& place : places)
    for (int layer = 0; layer < place.layers; ++layer)
      if (!is_named(place.name, layer))
        throw ConfigError(in_quotes(text) + " names no projector for " + attention_text(place.name, layer));
  return found;
}

/// Removes the projectors that single layers have in a role.
inline void drop_layer_projectors(ModelProjectors& config, std::string_view role) {
  std::erase_if(config.layer_projectors, [&](const auto& other) { return other.role == role; });
}

/// Gives a role the projectors that `projector_of`(LayerName) returns, for layers as layer_names finds them. The
/// config's own is then the projector of the first layer.
template <class Config>
void set_layer_projectors(Config& config, std::string_view role, const std::vector<LayerName>& layers,
                          auto&& projector_of) {
  std::vector<LayerProjector> all;
  for (const auto& place : config.attention_places())
    for (int layer = 0; layer < place.layers; ++layer)
      for (const auto& one : layers)
        if (one.place == place.name && one.layer == layer)
          all.push_back({std::string(place.name), layer, std::string(role), projector_of(one)});
  drop_layer_projectors(config, role);
  for_each_role(
      [&](const char* name, ProjectorConfig& projector) {
        if (role == name && !all.empty()) projector = all.front().projector;
      },
      config);
  for (auto& one : all)
    if (const auto& first = all.front().projector;
        one.projector.type != first.type || one.projector.hidden != first.hidden)
      config.layer_projectors.push_back(one);
  std::ranges::sort(config.layer_projectors, {},
                    [](const auto& one) { return std::tie(one.place, one.layer, one.role); });
}

/// The same from a text such as "0-2=linear,3-=nonlinear_query". Throws ConfigError as layer_names does.
template <class Config>
void set_layer_projectors(Config& config, std::string_view role, std::string_view text) {
  const auto layers = layer_names(text, config.attention_places());
  set_layer_projectors(config, role, layers, [](const LayerName& one) {
    ProjectorConfig projector;
    projector.type = one.name;
    return projector;
  });
}

}  // namespace neural_attention
