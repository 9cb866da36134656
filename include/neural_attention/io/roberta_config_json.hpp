// RobertaConfig to and from Hugging Face's config.json.
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "neural_attention/io/config_keys.hpp"
#include "neural_attention/models/roberta_config.hpp"

namespace neural_attention::io {

template <>
struct ConfigKeys<RobertaConfig> {
  static constexpr ModelKind post_norm = {"roberta", "RobertaForMaskedLM"};
  static constexpr ModelKind pre_norm = {"roberta-prelayernorm", "RobertaPreLayerNormForMaskedLM"};
  static constexpr std::array pre_norm_keys = {"normalize_before"};

  static nlohmann::ordered_json of_a_new_model(const RobertaConfig&);
  static nlohmann::ordered_json derived(const RobertaConfig&);

  static void refuse_unsupported(const nlohmann::json& json, const std::string& path);

  /// What Hugging Face's RobertaConfig takes for keys that a config.json lacks; roberta-base's own says otherwise.
  static RobertaConfig hugging_face_defaults(bool);
};

/// As model_config.
RobertaConfig roberta_config(const nlohmann::json& json, const std::string& path, RobertaConfig config = {});

/// The config.json of a model directory.
RobertaConfig load_roberta_config(const std::string& path);

#if defined(NEURAL_ATTENTION_COMPILED)
extern template nlohmann::ordered_json to_json(const RobertaConfig&);
extern template RobertaConfig model_config(const nlohmann::json&, const std::string&, RobertaConfig);
extern template RobertaConfig load_config(const std::string&);
extern template void detail::stage_config(detail::StagedFiles&, const RobertaConfig&, const char*, bool);
#endif

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/roberta_config_json.hpp"
#endif
