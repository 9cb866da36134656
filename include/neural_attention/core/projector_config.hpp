// The config that constructs every projector: its widths and its initial weights.
#pragma once

#include <string>

#include "neural_attention/core/parameters.hpp"

namespace neural_attention {

/// The distribution of initial matrices: N(0, deviation²) as in Hugging Face, or Xavier-uniform.
struct WeightInitial {
  bool xavier = false;
  double deviation = 0.02;

  Initial operator()(int in, int out) const { return xavier ? Initial::xavier(in, out) : Initial::normal(deviation); }
};

/// A map [n, d_in] → [n, d_out]. `expansion` is the hidden width in units of d_in; only Choice reads `type`.
struct ProjectorConfig {
  int d_in = 0;
  int d_out = 0;
  int expansion = 2;
  double norm_eps = 1e-5;
  WeightInitial initial = {};
  std::string type = "linear";  ///< a ProjectorName

  /// The hidden width. Throws ConfigError if it is not positive or is too large.
  int hidden() const {
    if (expansion <= 0) throw ConfigError("a projector's expansion must be positive, not " + std::to_string(expansion));
    return sizes::checked(
        "a projector that expands a width of " + std::to_string(d_in) + " by " + std::to_string(expansion),
        sizes::product(expansion, d_in), "hidden columns", sizes::product(d_in, sizeof(float)));
  }
};

}  // namespace neural_attention
