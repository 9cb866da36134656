// Gpt2Config to and from Hugging Face's config.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "neural_attention/io/config_keys.hpp"
#include "neural_attention/models/gpt2_config.hpp"

namespace neural_attention::io {

template <>
struct ConfigKeys<Gpt2Config> {
  static constexpr ModelKind kind = {"gpt2", "GPT2LMHeadModel"};

  static nlohmann::ordered_json of_a_new_model(const Gpt2Config&);
  static nlohmann::ordered_json derived(const Gpt2Config&);

  static void refuse_unsupported(const nlohmann::json& json, const std::string& path);

  /// What Hugging Face's GPT2Config takes for keys that a config.json lacks.
  static Gpt2Config hugging_face_defaults() { return {}; }
};

/// As model_config.
Gpt2Config gpt2_config(const nlohmann::json& json, const std::string& path, Gpt2Config config = {});

/// The config.json of a model directory.
Gpt2Config load_gpt2_config(const std::string& path);

#if defined(NEURAL_ATTENTION_COMPILED)
extern template nlohmann::ordered_json to_json(const Gpt2Config&);
extern template Gpt2Config model_config(const nlohmann::json&, const std::string&, Gpt2Config);
extern template Gpt2Config load_config(const std::string&);
extern template void detail::stage_config(detail::StagedFiles&, const Gpt2Config&, const char*, bool);
#endif

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/gpt2_config_json.hpp"
#endif
