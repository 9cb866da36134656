// Definitions of what io/config_keys.hpp declares, for the config.json of any model.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/attention/layer_projectors.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/named.hpp"
#include "neural_attention/core/projector_config.hpp"
#include "neural_attention/io/config_keys.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention::io {

/// For the ConfigKeys of a model that only this library has: no key follows from others, and nothing is refused. It
/// leaves the two kinds to them.
template <class Config>
struct OwnConfigKeys {
  static nlohmann::ordered_json derived(const Config&) { return nlohmann::ordered_json::object(); }
  static nlohmann::ordered_json of_a_new_model(const Config&) { return nlohmann::ordered_json::object(); }
  static void refuse_unsupported(const nlohmann::json&, const std::string&) {}
  static Config hugging_face_defaults(bool) { return {}; }
};

namespace detail {

/// Throws FileError if a flag has another value than the models here. `meaning` says what is supported.
void require_flag(const nlohmann::json& json, const std::string& path, const char* key, bool supported,
                  const char* meaning);

bool names(const nlohmann::json& json, const ModelKind& kind, const std::string& path);

template <class Config>
inline constexpr bool one_kind = requires {
  ConfigKeys<Config>::kind;
};

template <class Config>
const ModelKind& kind_of(const Config& config) {
  if constexpr (one_kind<Config>)
    return ConfigKeys<Config>::kind;
  else
    return config.normalize_before ? ConfigKeys<Config>::pre_norm : ConfigKeys<Config>::post_norm;
}

/// Throws FileError for the model_type of another model.
[[noreturn]] void refuse_kind(const nlohmann::json& json, const std::string& expected, const std::string& path);

/// Reads the model_type. Throws FileError if it is of another kind of model.
template <class Config>
void read_kind(const nlohmann::json& json, const std::string& path, Config& config) {
  using Keys = ConfigKeys<Config>;
  if (!json.contains("model_type")) return;
  const auto quoted = [](const ModelKind& kind) { return '"' + std::string(kind.model_type) + '"'; };
  if constexpr (one_kind<Config>) {
    if (!names(json, Keys::kind, path)) refuse_kind(json, quoted(Keys::kind), path);
  } else {
    config.normalize_before = names(json, Keys::pre_norm, path);
    if (!config.normalize_before && !names(json, Keys::post_norm, path))
      refuse_kind(json, quoted(Keys::post_norm) + " or " + quoted(Keys::pre_norm), path);
    if (config.normalize_before)
      require_flag(json, path, "normalize_before", true, "LayerNorm in front of each sublayer of such a model");
  }
}

/// Whether a key says the same as the model_type, which is then enough: such a key is written where it was read.
template <class Config>
bool says_kind(std::string_view key) {
  if constexpr (requires { ConfigKeys<Config>::pre_norm_keys; })
    for (const std::string_view one : ConfigKeys<Config>::pre_norm_keys)
      if (one == key) return true;
  return false;
}

/// The keys of a config.json that to_json does not write itself, as text.
template <class Config>
std::string other_config_keys(nlohmann::json json, const Config& config) {
  Config::knobs(
      [&](const Knob& knob, const auto&) {
        if (knob.in_file && !knob.own && !says_kind<Config>(knob.name)) json.erase(knob.name);
      },
      config);
  const auto derived = ConfigKeys<Config>::derived(config);
  for (const auto& item : derived.items()) json.erase(item.key());
  for (const char* key : {"neural_attention", "dtype", "torch_dtype", quantization_key})
    json.erase(key);  // of the file that is written
  return json.empty() ? std::string() : json.dump();
}

/// Throws FileError for a key of `object` that is none of `known`. `where`: what the file calls the object.
void require_known_keys(const nlohmann::json& object, const std::vector<std::string_view>& known,
                        const std::string& where, const std::string& path);

/// The object `key` of `json`, which only this library reads; an empty one if it is missing or null. Throws FileError
/// for anything else.
const nlohmann::json& own_object(const nlohmann::json& json, const char* key, const std::string& path);

/// `projector` with the type and the hidden width of a file: {"type": "neural", "expansion": 2}. `role`: whose it is.
ProjectorConfig read_projector(const nlohmann::json& described, const std::string& role, const std::string& path,
                               ProjectorConfig projector = {});
nlohmann::ordered_json written_projector(const ProjectorConfig& projector);

/// {"encoder.2": {"query": {"type": "neural"}}}
std::vector<LayerProjector> read_layer_projectors(const nlohmann::json& layers, const std::string& path);
nlohmann::ordered_json written_layer_projectors(const std::vector<LayerProjector>& layers);

/// Reads the keys of a Config. Throws FileError for one in "neural_attention" that means nothing; elsewhere, unknown
/// keys are Hugging Face's.
template <class Config>
void read_config_keys(const nlohmann::json& json, const std::string& path, Config& config) {
  constexpr bool has_layers = requires { config.layer_projectors; };
  const auto& own = own_object(json, "neural_attention", path);
  const auto& projectors = own_object(own, "projectors", path);
  std::vector<std::string_view> known = {"projectors"}, roles;
  if constexpr (has_layers) known.emplace_back("layer_projectors");
  Config::knobs([&](const Knob& knob) {
    if (knob.in_file && knob.own) known.emplace_back(knob.name);
  });
  for_each_role([&](const char* role) { roles.emplace_back(role); });
  require_known_keys(own, known, "neural_attention", path);
  require_known_keys(projectors, roles, "projectors", path);
  Config::knobs(
      [&]<class T>(const Knob& knob, T& member) {
        const auto& object = knob.own ? own : json;
        if (!knob.in_file || !object.contains(knob.name)) return;
        if constexpr (HasNames<T>) {
          member = value_named<T>(get<std::string>(object, knob.name, path), knob.name);
        } else {
          if constexpr (std::is_same_v<T, int>)
            if (knob.null && object.at(knob.name).is_null()) {
              member = *knob.null;
              return;
            }
          member = get<T>(object, knob.name, path);
        }
      },
      config);
  for_each_role(
      [&](const char* role, ProjectorConfig& projector) {
        if (projectors.contains(role)) projector = read_projector(projectors.at(role), role, path, projector);
      },
      config);
  if constexpr (has_layers)
    if (own.contains("layer_projectors"))
      config.layer_projectors = read_layer_projectors(own.at("layer_projectors"), path);
}

}  // namespace detail

template <HasConfigKeys Config>
nlohmann::ordered_json to_json(const Config& config) {
  using Keys = ConfigKeys<Config>;
  const ModelKind& kind = detail::kind_of(config);
  nlohmann::ordered_json json = {{"architectures", {kind.architecture}}, {"model_type", kind.model_type}};
  if (config.other_keys.empty()) {
    json.update(Keys::of_a_new_model(config));
  } else {
    const auto others = parse_json(config.other_keys, "other_keys of a config");
    for (const auto& [key, value] : others.items()) json[key] = value;
    if (json["model_type"] != kind.model_type) {  // a file of the other kind that said normalize_before
      json["model_type"] = kind.model_type;
      json["architectures"] = {kind.architecture};
    }
  }
  if constexpr (!detail::one_kind<Config>)
    for (auto& [key, value] : json.items())
      if (detail::says_kind<Config>(key)) value = config.normalize_before;
  auto own = nlohmann::ordered_json::object();
  const Config usual{};
  Config::knobs(
      [&]<class T>(const Knob& knob, const T& member, const T& usually) {
        if (!knob.in_file || detail::says_kind<Config>(knob.name)) return;
        if (knob.optional && member == usually) return;
        auto& value = (knob.own ? own : json)[knob.name];
        if constexpr (HasNames<T>)
          value = name_of(member);
        else if constexpr (std::is_same_v<T, int>)
          value = knob.null == member ? nlohmann::ordered_json() : nlohmann::ordered_json(member);
        else
          value = member;
      },
      config, usual);
  json.update(Keys::derived(config));
  for_each_role(
      [&](const char* role, const ProjectorConfig& projector) {
        own["projectors"][role] = detail::written_projector(projector);
      },
      config);
  if constexpr (requires { config.layer_projectors; })
    if (!config.layer_projectors.empty())
      own["layer_projectors"] = detail::written_layer_projectors(config.layer_projectors);
  json["neural_attention"] = own;
  return json;
}

template <class Config>
Config model_config(const nlohmann::json& json, const std::string& path, Config config) {
  using Keys = ConfigKeys<Config>;
  if (!json.is_object()) throw FileError(path, "must hold a JSON object");
  detail::read_kind(json, path, config);
  Keys::refuse_unsupported(json, path);
  try {
    detail::read_config_keys(json, path, config);
    config.other_keys = detail::other_config_keys(json, config);
    if (config.vocab_size > 0) config.validate();
  } catch (const ConfigError& error) {
    throw FileError(path, error.what());
  }
  return config;
}

template <class Config>
Config load_config(const std::string& path) {
  using Keys = ConfigKeys<Config>;
  const auto json = read_json(path);
  if constexpr (detail::one_kind<Config>)
    return model_config(json, path, Keys::hugging_face_defaults());
  else
    return model_config(json, path, Keys::hugging_face_defaults(detail::names(json, Keys::pre_norm, path)));
}

namespace detail {

template <class Config>
void stage_config(StagedFiles& files, const Config& config, const char* dtype, bool int8) {
  auto json = to_json(config);
  if (int8) json[quantization_key] = {{"quant_method", int8_method}, {"version", int8_version}};
  for (const char* key : {"dtype", "torch_dtype"}) json[key] = dtype;  // older versions of Hugging Face know the second
  files.add_json("config.json", json);
}

}  // namespace detail

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/model_config_json.hpp"
#endif
