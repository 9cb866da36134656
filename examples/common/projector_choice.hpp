// From the flags to the projectors of a config.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <system_error>

#include "common/any_model.hpp"
#include "common/model_options.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/quoted.hpp"

namespace examples {

/// The hidden width that the flags ask for. Throws ConfigError.
inline std::optional<na::HiddenWidth> given_width(const ModelOptions& options) {
  if (options.expansion > 0) return na::HiddenWidth::times(options.expansion);
  if (options.width.empty()) return {};
  if (options.width == "match") return na::HiddenWidth::matched();
  int columns = 0;
  const auto* const end = options.width.data() + options.width.size();
  const auto [rest, error] = std::from_chars(options.width.data(), end, columns);
  if (error != std::errc() || rest != end || columns < 1)
    throw na::ConfigError("--projector_width must be a number of columns or match, not " +
                          na::in_quotes(options.width));
  return na::HiddenWidth::columns(columns);
}

/// How the flags say a hidden width.
inline std::string width_flag(const na::HiddenWidth& width) {
  return width.kind() == na::HiddenWidth::Kind::Times ? "projector_expansion" : "projector_width";
}
inline std::string width_value(const na::HiddenWidth& width) {
  return width.kind() == na::HiddenWidth::Kind::Matched ? "match" : na::number_text(width.number());
}

/// The projectors that flags ask for; empty if they say nothing.
struct WantedProjectors {
  std::string all;
  na::Roles<std::string> roles = {};  ///< instead of `all`
  std::optional<na::HiddenWidth> width = {};
};
inline WantedProjectors wanted_projectors(const ModelOptions& options) {
  return {options.projector, options.roles, given_width(options)};
}

/// Sets the projectors of the flags; roles without a flag do not change. Throws ConfigError, which names the flag.
template <class Family>
void choose_projectors(const WantedProjectors& wanted, typename Family::Config& config) {
  const auto chosen = [&](na::ProjectorConfig projector, const std::string& type) {
    const bool other = projector.type != type;
    projector.type = type;
    const auto usual = na::usual_width<AnyProjector<Backend>>(type);  // throws if there is no such type
    if (wanted.width)
      projector.hidden = *wanted.width;
    else if (other || projector.hidden.kind() == na::HiddenWidth::Kind::Usual)
      projector.hidden = usual;
    return projector;
  };
  const auto choose = [&](const std::string& role, const std::string& alone, const std::string& arranged,
                          na::ProjectorConfig& projector) {
    if (alone.find('=') != std::string::npos) {
      na::require_ranges(config);
      const auto layers = na::layer_names(alone, config.attention_places());
      na::set_layer_projectors(config, role, layers, [&](const na::LayerName& one) {
        const auto before = na::projectors_at(config, one.place, one.layer);
        na::ProjectorConfig result;
        na::for_each_role(
            [&](const char* name, const na::ProjectorConfig& of) {
              if (role == name) result = chosen(of, one.name);
            },
            before);
        return result;
      });
      return;
    }
    if (!alone.empty() || !wanted.all.empty()) na::drop_layer_projectors(config, role);
    projector = chosen(projector, !alone.empty() ? alone : !wanted.all.empty() ? arranged : projector.type);
    for (auto& other : config.layer_projectors)
      if (other.role == role) other.projector = chosen(other.projector, other.projector.type);
  };
  na::for_each_role(
      [&](const char* role, const char* flag, const std::string& alone, const std::string& arranged,
          na::ProjectorConfig& projector) {
        try {
          choose(role, alone, arranged, projector);
        } catch (const na::ConfigError& error) {
          if (alone.empty() && wanted.all.empty()) throw;
          throw na::ConfigError("--" + std::string(alone.empty() ? "projector" : flag) + ": " + error.what());
        }
      },
      role_flag_names, wanted.roles, Family::arrangement(wanted.all), config);
}

}  // namespace examples
