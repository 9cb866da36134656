// MarianConfig to and from Hugging Face's config.json.
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "neural_attention/io/config_keys.hpp"
#include "neural_attention/models/marian_config.hpp"

namespace neural_attention::io {

template <>
struct ConfigKeys<MarianConfig> {
  static constexpr ModelKind post_norm = {"marian", "MarianMTModel"};
  static constexpr ModelKind pre_norm = {"pegasus", "PegasusForConditionalGeneration"};
  static constexpr std::array pre_norm_keys = {"add_final_layer_norm", "normalize_before"};

  static nlohmann::ordered_json of_a_new_model(const MarianConfig& config);
  static nlohmann::ordered_json derived(const MarianConfig& config);

  static void refuse_unsupported(const nlohmann::json& json, const std::string& path);

  /// What Hugging Face's MarianConfig or PegasusConfig takes for keys that a config.json lacks.
  static MarianConfig hugging_face_defaults(bool pegasus);
};

/// As model_config.
MarianConfig marian_config(const nlohmann::json& json, const std::string& path, MarianConfig config = {});

/// The config.json of a model directory.
MarianConfig load_marian_config(const std::string& path);

#if defined(NEURAL_ATTENTION_COMPILED)
extern template nlohmann::ordered_json to_json(const MarianConfig&);
extern template MarianConfig model_config(const nlohmann::json&, const std::string&, MarianConfig);
extern template MarianConfig load_config(const std::string&);
extern template void detail::stage_config(detail::StagedFiles&, const MarianConfig&, const char*, bool);
#endif

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/marian_config_json.hpp"
#endif
