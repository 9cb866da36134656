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

/// Throws ConfigError listing the known names. "swish" and "silu" are the same.
inline Activation activation_named(const std::string& name) {
  if (name == "swish" || name == "silu") return Activation::Silu;
  if (name == "relu") return Activation::Relu;
  if (name == "gelu") return Activation::Gelu;
  if (name == "mish") return Activation::Mish;
  throw ConfigError("there is no activation function " + detail::in_quotes(name) +
                    "; known are swish, relu, gelu, mish");
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

/// What a loaded config.json said beyond our keys comes first and unchanged; what it left out stays left out.
inline nlohmann::ordered_json to_json(const MarianConfig& config) {
  nlohmann::ordered_json json = {{"architectures", {"MarianMTModel"}},
                                 {"model_type", "marian"},
                                 {"is_encoder_decoder", true},
                                 {"forced_eos_token_id", config.eos_token_id},
                                 {"share_encoder_decoder_embeddings", true},
                                 {"use_cache", true}};
  if (config.other_keys.empty()) {
    json["bos_token_id"] = config.eos_token_id;
  } else {
    const auto others = nlohmann::json::parse(config.other_keys);
    for (const auto& [key, value] : others.items()) json[key] = value;
  }
  json["vocab_size"] = config.vocab_size;
  json["decoder_vocab_size"] = config.vocab_size;
  json["d_model"] = config.d_model;
  json["encoder_layers"] = config.encoder_layers;
  json["decoder_layers"] = config.decoder_layers;
  json["num_hidden_layers"] = config.encoder_layers;
  json["encoder_attention_heads"] = config.encoder_attention_heads;
  json["decoder_attention_heads"] = config.decoder_attention_heads;
  json["encoder_ffn_dim"] = config.encoder_ffn_dim;
  json["decoder_ffn_dim"] = config.decoder_ffn_dim;
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["activation_function"] = name_of(config.activation_function);
  json["dropout"] = config.dropout;
  json["attention_dropout"] = config.attention_dropout;
  json["activation_dropout"] = config.activation_dropout;
  json["scale_embedding"] = config.scale_embedding;
  json["init_std"] = config.init_std;
  json["pad_token_id"] = config.pad_token_id;
  json["decoder_start_token_id"] = config.pad_token_id;
  json["eos_token_id"] = config.eos_token_id;
  nlohmann::ordered_json projectors;
  for (const auto& [role, projector] : detail::projector_roles(config))
    projectors[role] = {{"type", projector->type}, {"expansion", projector->expansion}};
  json["neural_attention"] = {{"projectors", projectors}, {"xavier_init", config.xavier_init}};
  return json;
}

namespace detail {

/// Throws FileError for what Marian models may be elsewhere, but not here.
inline void refuse_unsupported(const nlohmann::json& json, const std::string& path) {
  const auto must_be = [&](const char* key, bool supported, const char* meaning) {
    if (get_or<bool>(json, key, supported, path) != supported)
      throw FileError(path, "has \"" + std::string(key) + "\": " + (supported ? "false" : "true") + "; supported is " +
                                (supported ? "true" : "false") + ": " + meaning);
  };
  must_be("share_encoder_decoder_embeddings", true, "one embedding for both languages");
  must_be("tie_word_embeddings", true, "an output layer that shares the embedding's matrix");
  must_be("is_encoder_decoder", true, "an encoder and a decoder");
  must_be("static_position_embeddings", true, "positions from a table of sines");
  must_be("normalize_before", false, "LayerNorm behind each sublayer");
  must_be("normalize_embedding", false, "no LayerNorm behind the embedding");
  must_be("add_final_layer_norm", false, "no LayerNorm behind the last layer");
  const auto same = [&](const char* key, const char* other, const char* meaning) {
    if (!json.contains(key) || json.at(key).is_null() || !json.contains(other)) return;
    const auto value = get<int>(json, key, path), expected = get<int>(json, other, path);
    if (value != expected)
      throw FileError(path, "has \"" + std::string(key) + "\": " + std::to_string(value) + ", but \"" + other +
                                "\": " + std::to_string(expected) + "; supported is " + meaning);
  };
  same("decoder_vocab_size", "vocab_size", "one vocabulary for both languages");
  same("decoder_start_token_id", "pad_token_id", "a decoder that starts with padding");
}

/// The keys of a config.json that to_json does not make itself, as text.
inline std::string other_config_keys(nlohmann::json json) {
  // The number format is that of the file that is written.
  for (const char* key : {"vocab_size",
                          "decoder_vocab_size",
                          "d_model",
                          "encoder_layers",
                          "decoder_layers",
                          "num_hidden_layers",
                          "encoder_attention_heads",
                          "decoder_attention_heads",
                          "encoder_ffn_dim",
                          "decoder_ffn_dim",
                          "max_position_embeddings",
                          "activation_function",
                          "dropout",
                          "attention_dropout",
                          "activation_dropout",
                          "scale_embedding",
                          "init_std",
                          "pad_token_id",
                          "decoder_start_token_id",
                          "eos_token_id",
                          "neural_attention",
                          "torch_dtype"})
    json.erase(key);
  return json.empty() ? std::string() : json.dump();
}

}  // namespace detail

/// Reads a config.json's content; `path` names it in errors. Keys that the file lacks keep the value of `config`, so a
/// file may hold a few sizes only. Throws FileError for a value of the wrong type or one that is not supported.
inline MarianConfig marian_config(const nlohmann::json& json, const std::string& path, MarianConfig config = {}) {
  const auto read = [&]<class T>(const char* key, T& value) {
    if (json.contains(key)) value = get<T>(json, key, path);
  };
  if (!json.is_object()) throw FileError(path, "must hold a JSON object");
  if (json.contains("model_type") && get<std::string>(json, "model_type", path) != "marian")
    throw FileError(path, "describes a model of type " + detail::in_quotes(get<std::string>(json, "model_type", path)) +
                              ", expected \"marian\"");
  detail::refuse_unsupported(json, path);
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
          projector->type = get<std::string>(described, "type", path);
          projector->expansion = get<int>(described, "expansion", path);
        }
    }
    config.other_keys = detail::other_config_keys(json);
    if (config.vocab_size > 0) config.validate();
  } catch (const ConfigError& error) {
    throw FileError(path, error.what());
  }
  return config;
}

/// What Hugging Face's MarianConfig takes for keys that a config.json lacks.
inline MarianConfig hugging_face_defaults() {
  MarianConfig config;
  config.vocab_size = 58101;
  config.d_model = 1024;
  config.encoder_layers = config.decoder_layers = 12;
  config.encoder_attention_heads = config.decoder_attention_heads = 16;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 4096;
  config.max_position_embeddings = 1024;
  config.activation_function = Activation::Gelu;
  config.scale_embedding = false;
  config.pad_token_id = 58100;
  return config;
}

/// The config.json of a model directory.
inline MarianConfig load_marian_config(const std::string& path) {
  return marian_config(read_json(path), path, hugging_face_defaults());
}

}  // namespace neural_attention::io
