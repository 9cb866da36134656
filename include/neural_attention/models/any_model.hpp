// AnyModel: one of several instantiated model types, picked by the names of the projectors in a config. If none fits,
// the error names the type to instantiate. A role that is a Choice fits if the Choice offers the wanted projector.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/core/model_contracts.hpp"
#include "neural_attention/core/projector_config.hpp"
#include "neural_attention/core/quoted.hpp"

namespace neural_attention {

namespace any_model_detail {

/// Whether projector type P is, or can become, the one called `name`.
template <class P>
constexpr bool offers(std::string_view name) {
  if constexpr (requires { P::names; })
    return std::find(P::names.begin(), P::names.end(), name) != P::names.end();
  else if constexpr (requires { ProjectorName<P>::value; })
    return ProjectorName<P>::value == name;
  else
    return false;
}

/// The C++ spelling of type T, without namespaces: `Cpu<float>`.
template <class T>
std::string spelling() {
  std::string_view text = __PRETTY_FUNCTION__;  // "… [with T = neural_attention::…::Cpu<float>; …]"
  text.remove_prefix(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  const auto arguments = std::min(text.find('<'), text.size());
  const auto scope = text.substr(0, arguments).rfind("::");
  if (scope != std::string_view::npos) text.remove_prefix(scope + 2);
  return std::string(text);
}

/// The C++ spelling of the template of T: `Marian`.
template <class T>
std::string template_name() {
  const auto text = spelling<T>();
  return text.substr(0, text.find('<'));
}

/// The template that a projector's name belongs to. A name that the library does not know is assumed to be the type's
/// name in snake_case.
template <class B>
std::string projector_template(std::string_view name) {
  std::string type;
  AnyProjector<B>::for_each_type([&]<class P>() {
    if (ProjectorName<P>::value == name) type = ProjectorName<P>::type;
  });
  if (!type.empty()) return type;
  constexpr std::string_view usual = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
  if (name.size() > 80 || name.find_first_not_of(usual) != std::string_view::npos) return "…";  // no C++ type's name
  std::string camel;
  bool capital = true;
  for (const char c : name) {
    if (c == '_') {
      capital = true;
    } else {
      camel += capital && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      capital = false;
    }
  }
  return camel;
}

/// The C++ spelling of the projectors that `config` names.
template <class B>
std::string projections_text(const Roles<ProjectorConfig>& config) {
  std::string text;
  for_each_role(
      [&](const char*, const ProjectorConfig& role) {
        text += (text.empty() ? "" : ", ") + projector_template<B>(role.type);
      },
      config);
  return "Projections<" + text + ">";
}

/// "query 'neural', key 'linear', …"
std::string roles_text(const auto& config) {
  std::string text;
  for_each_named_projector(
      [&](const std::string& name, const ProjectorConfig& role) {
        text += (text.empty() ? "" : ", ") + name + " " + in_quotes(role.type);
      },
      config);
  return text;
}

}  // namespace any_model_detail

/// Whether `config` can construct `Model`: each of the model's projectors is, or can become, the one that the config
/// names.
template <class Model>
bool fits(const typename Model::Config& config) {
  bool all = true;
  for_each_role(
      [&]<class P>(std::string_view role, std::type_identity<P>, const ProjectorConfig& of) {
        all = all && any_model_detail::offers<P>(of.type);
        if constexpr (requires { config.layer_projectors; })
          for (const auto& other : config.layer_projectors)
            all = all && (other.role != role || any_model_detail::offers<P>(other.projector.type));
      },
      RoleTypes<typename Model::Backend, typename Model::Projections>(), config);
  return all;
}

/// Holds a model of the first of its types that fits a config. All types have one backend and one config type.
template <class First, class... More>
class AnyModel {
 public:
  using Backend = typename First::Backend;
  using Config = typename First::Config;
  static_assert(sizeof(CheckChosenByName<First>) && (sizeof(CheckChosenByName<More>) && ...));
  static_assert((std::same_as<Backend, typename More::Backend> && ...), "the models of an AnyModel share one backend");
  static_assert((std::same_as<Config, typename More::Config> && ...), "the models of an AnyModel are of one kind");

  /// Constructed like its models. Throws ConfigError with the C++ type to instantiate if none of the types fits.
  AnyModel(Backend& backend, const Config& config, std::optional<std::uint64_t> seed = 42,
           Purpose purpose = Purpose::Training) {
    const auto make = [&]<class Model>(std::type_identity<Model>) {
      if (!fits<Model>(config)) return false;
      model_ = std::make_unique<Model>(backend, config, seed, purpose);
      return true;
    };
    if (make(std::type_identity<First>{}) || (make(std::type_identity<More>{}) || ...)) return;
    throw ConfigError("no model type of this program has the projectors " + any_model_detail::roles_text(config) +
                      "; the type to instantiate is " + any_model_detail::template_name<First>() + "<" +
                      any_model_detail::spelling<Backend>() + ", " +
                      any_model_detail::projections_text<Backend>(config) + ">");
  }

  /// Calls use(model) with the model's exact type.
  decltype(auto) visit(auto&& use) {
    return std::visit([&](auto& model) -> decltype(auto) { return use(*model); }, model_);
  }
  decltype(auto) visit(auto&& use) const {
    return std::visit([&](const auto& model) -> decltype(auto) { return use(std::as_const(*model)); }, model_);
  }

  /// The model if it has type `Model`, otherwise null.
  template <class Model>
  Model* get() {
    const auto* const held = std::get_if<std::unique_ptr<Model>>(&model_);
    return held ? held->get() : nullptr;
  }
  template <class Model>
  const Model* get() const {
    return const_cast<AnyModel&>(*this).template get<Model>();
  }

  const Config& config() const {
    return visit([](const auto& model) -> const Config& { return model.config(); });
  }

 private:
  std::variant<std::unique_ptr<First>, std::unique_ptr<More>...> model_;
};

}  // namespace neural_attention
