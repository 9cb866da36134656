// Models with a projector in every role of every attention that takes it, for tests that go through AnyProjector's
// names.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/attention/layer_projectors.hpp"
#include "neural_attention/core/errors.hpp"

namespace every_role {

namespace na = neural_attention;

/// Names of projectors for a place and a role, such as "encoder" and "query".
using Assigned = std::map<std::pair<std::string, std::string>, std::string>;

/// The config with these projectors, and linear maps in all other roles.
template <class Config>
Config with(Config config, const Assigned& projectors) {
  na::for_each_role(
      [&](const char* role, int) {
        std::string text;
        for (const auto& place : config.attention_places()) {
          const auto found = projectors.find({std::string(place.name), role});
          text += (text.empty() ? "" : ",") + std::string(place.name) + "=" +
                  (found == projectors.end() ? "linear" : found->second);
        }
        na::set_layer_projectors(config, role, text);
      },
      na::Roles<int>());
  return config;
}

/// Adds `more` if a model whose roles are all a Choice can then be made.
template <class Model>
bool add(const typename Model::Config& config, Assigned& projectors, Assigned more) {
  more.insert(projectors.begin(), projectors.end());
  try {
    Model::inspect(with(config, more), [](const auto&) {});
  } catch (const na::ConfigError&) {
    return false;
  }
  projectors = std::move(more);
  return true;
}

/// The config with `projector` in every role that takes it, alone or with others of the same attention.
template <class Model>
typename Model::Config config_with(const typename Model::Config& config, std::string_view projector) {
  Assigned projectors;
  for (const auto& place : config.attention_places()) {
    const auto take = [&](std::initializer_list<const char*> roles) {
      Assigned more;
      for (const char* const role : roles) more[{std::string(place.name), role}] = projector;
      return add<Model>(config, projectors, more);
    };
    if (take({"query", "key", "value", "output"}) || take({"query", "key", "value"})) continue;
    for (const char* const role : {"query", "key", "value", "output"}) take({role});
  }
  return with(config, projectors);
}

/// The config with `projector` in one role of every attention that takes it there; none where no attention does.
template <class Model>
std::optional<typename Model::Config> config_with(const typename Model::Config& config, std::string_view projector,
                                                  const std::string& role) {
  Assigned projectors;
  for (const auto& place : config.attention_places())
    add<Model>(config, projectors, {{{std::string(place.name), role}, std::string(projector)}});
  if (projectors.empty()) return std::nullopt;
  return with(config, projectors);
}

/// The config with the arrangement P, such as published::primer, in every attention that takes it.
template <class Model, class P>
typename Model::Config config_with(const typename Model::Config& config) {
  Assigned projectors;
  for (const auto& place : config.attention_places()) {
    Assigned more;
    na::for_each_role(
        [&]<class Projector>(const char* role, std::type_identity<Projector>) {
          more[{std::string(place.name), role}] = na::projector_name<Projector>();
        },
        na::RoleTypes<typename Model::Backend, P>());
    add<Model>(config, projectors, more);
  }
  return with(config, projectors);
}

}  // namespace every_role
