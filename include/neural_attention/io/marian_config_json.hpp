// MarianConfig to and from Hugging Face's config.json. The choice of projectors is kept under the key
// "neural_attention", which Hugging Face ignores.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/io/json_file.hpp"
#include "neural_attention/models/marian_config.hpp"

namespace neural_attention::io {

/// The projectors that programs offer, in the order of ProjectorConfig::choice.
inline constexpr std::array<std::string_view, 4> projector_names = {"linear", "sequential_linear", "neural",
                                                                    "plain_neural"};

/// Throws ConfigError listing the known names.
inline int projector_choice(std::string_view name) {
  for (std::size_t i = 0; i < projector_names.size(); ++i)
    if (projector_names[i] == name) return static_cast<int>(i);
  std::string known;
  for (const auto candidate : projector_names) known += (known.empty() ? "" : ", ") + std::string(candidate);
  throw ConfigError("there is no projector '" + std::string(name) + "'; known are " + known);
}

/// Throws ConfigError listing the known names. "swish" and "silu" are the same.
inline Activation activation_named(const std::string& name) {
  if (name == "swish" || name == "silu") return Activation::Silu;
  if (name == "relu") return Activation::Relu;
  if (name == "gelu") return Activation::Gelu;
  if (name == "mish") return Activation::Mish;
  throw ConfigError("there is no activation function '" + name + "'; known are swish, relu, gelu, mish");
}

inline std::string name_of(Activation f) {
  switch (f) {
    case Activation::Relu:
      return "relu";
    case Activation::Gelu:
      return "gelu";
    case Activation::Mish:
      return "mish";
    case Activation::Silu:
      return "swish";
    case Activation::Identity:
      break;
  }
  return "linear";
}

namespace detail {

/// The roles under their JSON names, for const and mutable configs alike.
template <class Config>
auto projector_roles(Config& config) {
  return std::array{std::pair{"query", &config.query}, std::pair{"key", &config.key}, std::pair{"value", &config.value},
                    std::pair{"output", &config.output}};
}

}  // namespace detail

inline nlohmann::ordered_json to_json(const MarianConfig& config) {
  nlohmann::ordered_json projectors;
  for (const auto& [role, projector] : detail::projector_roles(config))
    projectors[role] = {{"type", projector_names.at(static_cast<std::size_t>(projector->choice))},
                        {"expansion", projector->expansion}};
  return {{"architectures", {"MarianMTModel"}},
          {"model_type", "marian"},
          {"is_encoder_decoder", true},
          {"vocab_size", config.vocab_size},
          {"decoder_vocab_size", config.vocab_size},
          {"d_model", config.d_model},
          {"encoder_layers", config.encoder_layers},
          {"decoder_layers", config.decoder_layers},
          {"encoder_attention_heads", config.encoder_attention_heads},
          {"decoder_attention_heads", config.decoder_attention_heads},
          {"encoder_ffn_dim", config.encoder_ffn_dim},
          {"decoder_ffn_dim", config.decoder_ffn_dim},
          {"max_position_embeddings", config.max_position_embeddings},
          {"activation_function", name_of(config.activation_function)},
          {"dropout", config.dropout},
          {"attention_dropout", config.attention_dropout},
          {"activation_dropout", config.activation_dropout},
          {"scale_embedding", config.scale_embedding},
          {"init_std", config.init_std},
          {"pad_token_id", config.pad_token_id},
          {"decoder_start_token_id", config.pad_token_id},
          {"eos_token_id", config.eos_token_id},
          {"bos_token_id", config.eos_token_id},
          {"forced_eos_token_id", config.eos_token_id},
          {"share_encoder_decoder_embeddings", true},
          {"tie_word_embeddings", true},
          {"static_position_embeddings", true},
          {"use_cache", true},
          {"neural_attention", {{"projectors", projectors}, {"xavier_init", config.xavier_init}}}};
}

/// Reads a config.json's content; `path` names it in errors. Keys that the file lacks keep the value of `config`, so a
/// file may hold a few sizes only. Throws FileError for a value of the wrong type or one that is not supported.
inline MarianConfig marian_config(const nlohmann::json& json, const std::string& path, MarianConfig config = {}) {
  const auto read = [&]<class T>(const char* key, T& value) {
    if (json.contains(key)) value = get<T>(json, key, path);
  };
  if (!json.is_object()) throw FileError(path, "must hold a JSON object");
  if (json.contains("model_type") && get<std::string>(json, "model_type", path) != "marian")
    throw FileError(
        path, "describes a model of type '" + get<std::string>(json, "model_type", path) + "', expected 'marian'");
  read("vocab_size", config.vocab_size);
  read("d_model", config.d_model);
  read("encoder_layers", config.encoder_layers);
  read("decoder_layers", config.decoder_layers);
  read("encoder_attention_heads", config.encoder_attention_heads);
  read("decoder_attention_heads", config.decoder_attention_heads);
  read("encoder_ffn_dim", config.encoder_ffn_dim);
  read("decoder_ffn_dim", config.decoder_ffn_dim);
  read("max_position_embeddings", config.max_position_embeddings);
  read("dropout", config.dropout);
  read("attention_dropout", config.attention_dropout);
  read("activation_dropout", config.activation_dropout);
  read("scale_embedding", config.scale_embedding);
  read("init_std", config.init_std);
  read("pad_token_id", config.pad_token_id);
  read("eos_token_id", config.eos_token_id);
  try {
    if (json.contains("activation_function"))
      config.activation_function = activation_named(get<std::string>(json, "activation_function", path));
    if (json.contains("neural_attention")) {
      const auto& own = json.at("neural_attention");
      if (own.contains("xavier_init")) config.xavier_init = get<bool>(own, "xavier_init", path);
      if (own.contains("projectors"))
        for (const auto& [role, projector] : detail::projector_roles(config)) {
          if (!own.at("projectors").contains(role)) continue;
          const auto& described = own.at("projectors").at(role);
          projector->choice = projector_choice(get<std::string>(described, "type", path));
          projector->expansion = get<int>(described, "expansion", path);
        }
    }
    if (config.vocab_size > 0) config.validate();
  } catch (const ConfigError& error) {
    throw FileError(path, error.what());
  }
  return config;
}

inline void save_config(const std::string& path, const MarianConfig& config) { write_json(path, to_json(config)); }

inline MarianConfig load_marian_config(const std::string& path) { return marian_config(read_json(path), path); }

}  // namespace neural_attention::io
