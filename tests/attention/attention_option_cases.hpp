// The options of attention that tests go through, alone and together. tests/reference/module_goldens.py has the same.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "neural_attention/attention/attention_options.hpp"

struct NamedOptions {
  std::string name;
  neural_attention::AttentionOptions options;

  /// Whether all that shifts every key alike leaves the probabilities as they are.
  bool keys_may_shift() const {
    return options.qk_norm == neural_attention::QueryKeyNorm::None && options.soft_cap == 0.0;
  }
};

inline std::vector<NamedOptions> attention_option_cases() {
  using neural_attention::GateKind, neural_attention::LearnedScale, neural_attention::QueryKeyNorm;
  return {{"scale", {.scale = 0.7}},
          {"shared_scale", {.learned_scale = LearnedScale::Shared}},
          {"scale_per_head", {.scale = 0.5, .learned_scale = LearnedScale::PerHead}},
          {"soft_cap", {.scale = 2.0, .soft_cap = 1.5}},
          {"l2", {.qk_norm = QueryKeyNorm::L2}},
          {"l2_per_head", {.learned_scale = LearnedScale::PerHead, .qk_norm = QueryKeyNorm::L2}},
          {"rms", {.qk_norm = QueryKeyNorm::Rms}},
          {"gate_per_head", {.gate = GateKind::PerHead}},
          {"gate_per_element", {.gate = GateKind::PerElement}},
          {"all",
           {.learned_scale = LearnedScale::PerHead,
            .soft_cap = 2.0,
            .qk_norm = QueryKeyNorm::Rms,
            .gate = GateKind::PerElement}}};
}

/// Options that a stack of layers has in common.
inline std::vector<NamedOptions> value_residual_cases() {
  using neural_attention::ValueResidualKind;
  auto together = attention_option_cases().back().options;
  together.value_residual = ValueResidualKind::Learned;
  return {{"value_residual", {.value_residual = ValueResidualKind::Learned}},
          {"fixed_value_residual",
           {.value_residual = ValueResidualKind::Fixed, .value_residual_own = 1.0, .value_residual_first = 2.0}},
          {"all_with_value_residual", together}};
}

/// Values narrower or wider than keys; two, three and four heads divide them.
inline std::vector<NamedOptions> value_width_cases() {
  auto together = value_residual_cases().back().options;
  together.value_width = 12;
  return {{"value_width", {.value_width = 12}}, {"all_with_value_width", together}};
}

/// Those of one attention, and those of a stack.
inline std::vector<NamedOptions> all_option_cases() {
  auto all = attention_option_cases();
  for (const auto& more : {value_residual_cases(), value_width_cases()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}
