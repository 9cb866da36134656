// Whether the flags of a run that resumes, or that begins with a model, agree with the config that is stored.
#pragma once

#include <string>

#include "common/model_choice.hpp"
#include "common/model_options.hpp"
#include "common/projector_choice.hpp"
#include "neural_attention/core/named.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/model_directory.hpp"

namespace examples {

/// The config that the flags describe for the run of `stored`; values without a flag stay the same, as do the special
/// tokens, which come from the tokenizer.
template <class Family>
typename Family::Config described_config(const ModelOptionsOf<typename Family::Config>& options,
                                         const typename Family::Config& stored) {
  if (options.config.empty() && options.model.empty()) return changed_by_flags<Family>(options, stored);
  auto config = run_config<Family>(options, stored.vocab_size);
  Family::Config::knobs(
      [](const na::Knob& knob, auto& token, const auto& of_stored) {
        if (knob.token) token = of_stored;
      },
      config, stored);
  return config;
}

/// Calls use(role, one, other) for the projectors of two configs of a model with the same layers: one of each role
/// if both are alike in all layers, else those of every layer, whose roles are called "query of encoder layer 2".
template <class Config>
void for_each_projector_of(auto&& use, const Config& a, const Config& b) {
  if (a.layer_projectors.empty() && b.layer_projectors.empty()) {
    na::for_each_role([&](const std::string& role, const auto& one, const auto& other) { use(role, one, other); }, a,
                      b);
    return;
  }
  for (const auto& place : a.attention_places())
    for (int layer = 0; layer < place.layers; ++layer)
      na::for_each_role(
          [&](const std::string& role, const auto& one, const auto& other) {
            use(role + " of " + na::attention_text(place.name, layer), one, other);
          },
          na::projectors_at(a, place.name, layer), na::projectors_at(b, place.name, layer));
}

/// Throws ConfigError if the flags describe another model than the config `stored` of `checkpoint`. Recomputing
/// activations may differ, because it changes no number.
template <class Family>
void require_same_model(const ModelOptionsOf<typename Family::Config>& options, const typename Family::Config& stored,
                        const std::string& checkpoint) {
  const auto described = described_config<Family>(options, stored);
  const auto differs = [&](const std::string& name, const std::string& before, const std::string& now) {
    throw na::ConfigError(checkpoint + " was made with " + name + " " + before + ", not " + now +
                          ": a run must be resumed with its own settings");
  };
  const auto check = [&](const std::string& role, const na::ProjectorConfig& before, const na::ProjectorConfig& now) {
    if (before.type != now.type) differs("a " + role + " projector of the type", before.type, now.type);
    if (before.hidden != now.hidden) {
      const auto name = width_flag(before.hidden), other = width_flag(now.hidden);
      differs(name, width_value(before.hidden), (other == name ? "" : other + " ") + width_value(now.hidden));
    }
  };
  for_each_projector_of(check, stored, described);
  Family::Config::knobs(
      [&]<class T>(const na::Knob& knob, const T& was, const T& is) {
        const auto text = [](const T& value) {
          if constexpr (na::HasNames<T>)
            return std::string(na::name_of(value));
          else
            return nlohmann::json(value).dump();
        };
        if (knob.in_file && was != is) differs(knob.name, text(was), text(is));
      },
      stored, described);
  const auto before = na::io::to_json(stored), now = na::io::to_json(described);
  for (const auto& [name, value] : now.items()) {
    const auto found = before.find(name);
    if (found != before.end() && *found != value && name != "gradient_checkpointing")
      differs(name, found->dump(), value.dump());
  }
}

/// Projectors that replace the projectors of --model have no weights in its file: the user must say how they start.
template <class Config>
void require_init_projections(const ModelOptions& options, const Config& of_file, const Config& config) {
  if (!options.init_projections.empty()) return;
  const auto check = [&](const std::string& role, const na::ProjectorConfig& before, const na::ProjectorConfig& now) {
    if (before.type != now.type || before.hidden != now.hidden)
      throw na::ConfigError("the " + role + " projection of " + options.model + " is " + na::in_quotes(before.type) +
                            " and the new one is " + na::in_quotes(now.type) +
                            ": say how the new ones begin, with --init_projections fresh (at random, the paper's "
                            "procedure) or --init_projections warm (as the linear maps of the model)");
  };
  for_each_projector_of(check, of_file, config);
}

}  // namespace examples
