// Definitions of what io/marian_config_json.hpp declares.
#pragma once

#include <string>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/models/marian_config.hpp"

namespace neural_attention::io {

NEURAL_ATTENTION_INLINE nlohmann::ordered_json ConfigKeys<MarianConfig>::of_a_new_model(const MarianConfig& config) {
  return {{"add_final_layer_norm", config.normalize_before},
          {"bos_token_id", config.eos_token_id},
          {"forced_eos_token_id", config.eos_token_id},
          {"is_encoder_decoder", true},
          {"normalize_before", config.normalize_before},
          {"share_encoder_decoder_embeddings", true},
          {"use_cache", true}};
}

NEURAL_ATTENTION_INLINE nlohmann::ordered_json ConfigKeys<MarianConfig>::derived(const MarianConfig& config) {
  return {{"decoder_vocab_size", config.vocab_size},
          {"num_hidden_layers", config.encoder_layers},
          {"decoder_start_token_id", config.pad_token_id}};
}

NEURAL_ATTENTION_INLINE void ConfigKeys<MarianConfig>::refuse_unsupported(const nlohmann::json& json,
                                                                          const std::string& path) {
  const auto must_be = [&](const char* key, bool supported, const char* meaning) {
    detail::require_flag(json, path, key, supported, meaning);
  };
  must_be("share_encoder_decoder_embeddings", true, "one embedding for both languages");
  must_be("tie_word_embeddings", true, "an output layer that shares the embedding's matrix");
  must_be("is_encoder_decoder", true, "an encoder and a decoder");
  must_be("static_position_embeddings", true, "positions from a table of sines");
  must_be("normalize_embedding", false, "no LayerNorm after the embedding");
  if (get_or<bool>(json, "normalize_before", detail::names(json, pre_norm, path), path))
    must_be("add_final_layer_norm", true, "a LayerNorm after the last of the pre-norm layers");
  else
    must_be("add_final_layer_norm", false, "no LayerNorm after the last layer");
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

NEURAL_ATTENTION_INLINE MarianConfig ConfigKeys<MarianConfig>::hugging_face_defaults(bool pegasus) {
  MarianConfig config;
  config.vocab_size = pegasus ? 50265 : 58101;
  config.d_model = 1024;
  config.encoder_layers = config.decoder_layers = 12;
  config.encoder_attention_heads = config.decoder_attention_heads = 16;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 4096;
  config.max_position_embeddings = 1024;
  config.activation_function = Activation::Gelu;
  config.scale_embedding = false;
  config.pad_token_id = pegasus ? 0 : 58100;
  config.eos_token_id = pegasus ? 1 : 0;
  return config;
}

NEURAL_ATTENTION_INLINE MarianConfig marian_config(const nlohmann::json& json, const std::string& path,
                                                   MarianConfig config) {
  return model_config(json, path, std::move(config));
}

NEURAL_ATTENTION_INLINE MarianConfig load_marian_config(const std::string& path) {
  return load_config<MarianConfig>(path);
}

}  // namespace neural_attention::io
