// What every projector can be constructed from: its widths and how its weights begin.
#pragma once

#include <string>

#include "neural_attention/core/parameters.hpp"

namespace neural_attention {

/// How matrices begin: N(0, deviation²) as Hugging Face does, or Xavier-uniform.
struct WeightInitial {
  bool xavier = false;
  double deviation = 0.02;

  Initial operator()(int in, int out) const { return xavier ? Initial::xavier(in, out) : Initial::normal(deviation); }
};

/// A map [n, d_in] → [n, d_out]. `expansion` is the hidden width in units of d_in; `type` matters to Choice alone.
struct ProjectorConfig {
  int d_in = 0;
  int d_out = 0;
  int expansion = 2;
  double norm_eps = 1e-5;
  WeightInitial initial = {};
  std::string type = "linear";  ///< a ProjectorName

  /// The hidden width. Throws ConfigError where it is not positive or too large.
  int hidden() const {
    if (expansion <= 0) throw ConfigError("a projector's expansion must be positive, not " + std::to_string(expansion));
    return sizes::checked(
        "a projector that expands a width of " + std::to_string(d_in) + " by " + std::to_string(expansion),
        sizes::product(expansion, d_in), "hidden columns", sizes::product(d_in, sizeof(float)));
  }
};

}  // namespace neural_attention
