// Definitions of what io/roberta_config_json.hpp declares.
#pragma once

#include <string>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/io/roberta_config_json.hpp"
#include "neural_attention/models/roberta_config.hpp"

namespace neural_attention::io {

NEURAL_ATTENTION_INLINE nlohmann::ordered_json ConfigKeys<RobertaConfig>::of_a_new_model(const RobertaConfig&) {
  return {{"position_embedding_type", "absolute"}, {"use_cache", true}};
}

NEURAL_ATTENTION_INLINE nlohmann::ordered_json ConfigKeys<RobertaConfig>::derived(const RobertaConfig&) {
  return nlohmann::ordered_json::object();
}

NEURAL_ATTENTION_INLINE void ConfigKeys<RobertaConfig>::refuse_unsupported(const nlohmann::json& json,
                                                                           const std::string& path) {
  const auto must_be = [&](const char* key, bool supported, const char* meaning) {
    detail::require_flag(json, path, key, supported, meaning);
  };
  must_be("tie_word_embeddings", true, "an output layer that shares the embedding's matrix");
  must_be("is_decoder", false, "tokens that see both sides");
  must_be("add_cross_attention", false, "an encoder alone");
  const auto positions = get_or<std::string>(json, "position_embedding_type", "absolute", path);
  if (positions != "absolute")
    throw FileError(path, "has \"position_embedding_type\": " + detail::in_quotes(positions) +
                              "; supported is \"absolute\": a table with a row for each position");
}

NEURAL_ATTENTION_INLINE RobertaConfig ConfigKeys<RobertaConfig>::hugging_face_defaults(bool) {
  RobertaConfig config;
  config.max_position_embeddings = 512;
  config.type_vocab_size = 2;
  config.layer_norm_eps = 1e-12;
  return config;
}

NEURAL_ATTENTION_INLINE RobertaConfig roberta_config(const nlohmann::json& json, const std::string& path,
                                                     RobertaConfig config) {
  return model_config(json, path, std::move(config));
}

NEURAL_ATTENTION_INLINE RobertaConfig load_roberta_config(const std::string& path) {
  return load_config<RobertaConfig>(path);
}

}  // namespace neural_attention::io
