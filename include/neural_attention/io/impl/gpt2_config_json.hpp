// Definitions of what io/gpt2_config_json.hpp declares.
#pragma once

#include <string>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/gpt2_config_json.hpp"
#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/models/gpt2_config.hpp"

namespace neural_attention::io {

NEURAL_ATTENTION_INLINE nlohmann::ordered_json ConfigKeys<Gpt2Config>::of_a_new_model(const Gpt2Config&) {
  return {{"use_cache", true}};
}

NEURAL_ATTENTION_INLINE nlohmann::ordered_json ConfigKeys<Gpt2Config>::derived(const Gpt2Config&) {
  return nlohmann::ordered_json::object();
}

NEURAL_ATTENTION_INLINE void ConfigKeys<Gpt2Config>::refuse_unsupported(const nlohmann::json& json,
                                                                        const std::string& path) {
  detail::require_flag(json, path, "add_cross_attention", false, "a decoder alone");
  detail::require_flag(json, path, "tie_word_embeddings", true, "an output layer that shares the embedding's matrix");
  // Hugging Face reads the other names, too, and nobody here would.
  for (const auto& [other, name] : {std::pair{"hidden_size", "n_embd"},
                                    {"num_hidden_layers", "n_layer"},
                                    {"num_attention_heads", "n_head"},
                                    {"max_position_embeddings", "n_positions"}})
    if (json.contains(other) && (!json.contains(name) || json.at(name) != json.at(other)))
      throw FileError(path, in_quotes(other) + " is another name of " + in_quotes(name) + ": give " + in_quotes(name) +
                                " the value " + detail::describe_json(json.at(other)));
}

NEURAL_ATTENTION_INLINE Gpt2Config gpt2_config(const nlohmann::json& json, const std::string& path, Gpt2Config config) {
  return model_config(json, path, std::move(config));
}

NEURAL_ATTENTION_INLINE Gpt2Config load_gpt2_config(const std::string& path) { return load_config<Gpt2Config>(path); }

}  // namespace neural_attention::io
