// Warm start: projectors that begin as given linear maps y = W x + b, so that a model with neural projections computes
// what a trained linear model computed.
#pragma once

#include <algorithm>
#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "neural_attention/attention/warm_starter.hpp"

namespace neural_attention {

/// The linear map for the projector at a place such as `model.encoder.layers.0.self_attn.q_proj`; nothing if that
/// projector stays as it is.
using LinearMapSource = std::function<std::optional<LinearMap>(const std::string& prefix)>;

struct WarmStartReport {
  struct Projector {
    std::string prefix;
    WarmStart start;
  };
  std::vector<Projector> projectors;
};

/// A module that names the projectors of its four roles: MultiHeadAttention, or an attention of your own.
template <class A>
concept HasProjectors = requires {
  typename A::Query;
  typename A::Key;
  typename A::Value;
  typename A::Output;
};

/// Whether a member of an attention is the map that several roles share.
template <class Attention, class Member>
constexpr bool is_shared_map() {
  if constexpr (requires { typename Attention::SharedMap; })
    return std::same_as<Member, typename Attention::SharedMap>;
  else
    return false;
}

/// Whether a member of an attention is the projector of a role or the map that roles share, and no further part such as
/// a norm or a gate.
template <class Attention, class Member>
inline constexpr bool is_projector_of =
    is_shared_map<Attention, Member>() || std::same_as<Member, typename Attention::Query> ||
    std::same_as<Member, typename Attention::Key> || std::same_as<Member, typename Attention::Value> ||
    std::same_as<Member, typename Attention::Output>;

/// Calls use(name, projector) for the projectors of every attention in `model`, with names such as
/// `model.encoder.layers.0.self_attn.q_proj`.
void for_each_projector(auto& model, auto&& use) {
  for_each_leaf(model, [&]<HasProjectors Attention>(const std::string& name, Attention& attention) {
    Attention::visit(attention, [&]<class Member>(const std::string& role, Member& member) {
      if constexpr (is_projector_of<std::remove_const_t<Attention>, std::remove_const_t<Member>>)
        use(name + "." + role, member);
    });
  });
}

/// Starts the projectors of every attention in `model` as the maps of `source`. Hidden units that the map does not need
/// keep their first layer and have no influence yet. Throws ConfigError, which names the projector, if a projector
/// cannot begin as a linear map (too few hidden units, an activation such as Mish, a type without a warm start), and
/// ShapeError if the map has other widths; the model is then unchanged.
template <class B, class Model>
WarmStartReport warm_start(B& backend, Model& model, const LinearMapSource& source,
                           const WarmStartOptions& options = {}) {
  WarmStarter<B> starter(backend, options);
  WarmStartReport report;
  for_each_projector(model, [&](const std::string& prefix, auto& projector) {
    if (const auto map = source(prefix)) report.projectors.push_back({prefix, starter.start(prefix, projector, *map)});
  });
  starter.commit();
  model.parameters().refresh();
  return report;
}

/// The maps of another model's projectors of types Linear and SequentialLinear, with biases or without. `backend` and
/// `store` must outlive it.
template <class B>
LinearMapSource linear_maps(B& backend, const ParameterStore<B>& store) {
  return [&backend, &store](const std::string& prefix) -> std::optional<LinearMap> {
    const auto names = linear_map_names(prefix + ".", [&](auto&& use) {
      for (const auto& entry : store.entries()) use(entry.name);
    });
    if (!names) return std::nullopt;
    const auto host = [&](const auto& entry) {
      std::vector<typename B::Real> values(static_cast<std::size_t>(entry.size()));
      backend(ops::DownloadOf<typename B::Real>{.x = store.value(entry), .values = values});
      return std::vector<double>(values.begin(), values.end());
    };
    const auto& weight = *store.find(names->weight);
    LinearMap map{weight.cols, weight.rows, host(weight), std::vector<double>(static_cast<std::size_t>(weight.rows))};
    if (!names->bias.empty()) map.bias = host(*store.find(names->bias));
    return map;
  };
}

}  // namespace neural_attention
