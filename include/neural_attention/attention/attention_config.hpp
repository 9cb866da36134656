// AttentionConfig: what constructs an attention: its widths, its projectors, its options, and its place in a model.
#pragma once

#include <string>

#include "neural_attention/attention/attention_options.hpp"
#include "neural_attention/attention/sequence_projector.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/projector_config.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention {

/// The columns of the keys and the values that the heads of an attention share. Queries are as wide as keys.
struct KeyValueWidths {
  int keys = 0;
  int values = 0;
};

/// The roles are its projectors.
struct AttentionConfig : Roles<ProjectorConfig> {
  int d_model = 0;
  int heads = 1;
  double dropout = 0.0;  ///< of the probabilities
  AttentionOptions options = {};
  AttentionUse use = AttentionUse::Self;
  int layer = 0;  ///< its place in its stack

  /// Throws ConfigError for one that the heads do not divide.
  KeyValueWidths widths() const {
    const auto divided = [&](const char* name, int width) {
      if (width > 0 && heads > 0 && width % heads == 0) return width;
      throw ConfigError(std::string(name) + " " + std::to_string(width) + " cannot be split into " +
                        std::to_string(heads) + " attention heads");
    };
    const int keys = divided("d_model", d_model);
    return {keys, options.value_width == 0 ? keys : divided("attention_value_width", options.value_width)};
  }
  /// Of queries and keys.
  int head_width() const { return d_model / heads; }

  /// Whether its values are the ones that later layers may take.
  bool gives_values() const { return layer == 0 && use != AttentionUse::Cross; }
  /// Whether it takes the values of the first layer.
  bool takes_values() const {
    return layer > 0 && use != AttentionUse::Cross && options.value_residual != ValueResidualKind::None;
  }
  AttentionConfig used_for(AttentionUse other) const {
    auto config = *this;
    config.use = other;
    return config;
  }
};

/// The projectors of `roles`, with matrices that begin as `initial` says.
inline AttentionConfig attention_config(int d_model, int heads, double dropout, const Roles<ProjectorConfig>& roles,
                                        WeightInitial initial, const AttentionOptions& options = {}) {
  AttentionConfig config{roles, d_model, heads, dropout, options};
  for_each_role([&](const char*, ProjectorConfig& projector) { projector.initial = initial; }, config);
  return config;
}

}  // namespace neural_attention
