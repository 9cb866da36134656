// The config that constructs every projector: its widths and its initial weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "neural_attention/core/hidden_width.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/parameters.hpp"

namespace neural_attention {

/// The distribution of initial matrices: N(0, deviation²) as in Hugging Face, or Xavier-uniform.
struct WeightInitial {
  bool xavier = false;
  double deviation = 0.02;

  Initial operator()(int in, int out) const { return xavier ? Initial::xavier(in, out) : Initial::normal(deviation); }
};

/// A map [n, d_in] → [n, d_out]. Only projectors with an inner width read `hidden`; only Choice reads `type`.
struct ProjectorConfig {
  int d_in = 0;
  int d_out = 0;
  HiddenWidth hidden = {};
  double norm_eps = 1e-5;
  WeightInitial initial = {};
  bool bias = true;             ///< of linear maps and of LayerNorm
  std::string type = "linear";  ///< a ProjectorName

  /// The columns of the hidden width; or of the usual one, 2 · d_in, if it is not set (usual_width). Throws
  /// ConfigError if they are none or too many, or if the matched width has not been computed (with_hidden_width).
  int hidden_columns() const {
    const double number = hidden.number();
    switch (hidden.kind()) {
      case HiddenWidth::Kind::Matched:
        throw ConfigError("a projector's hidden width is to be matched, but no width was looked for");
      case HiddenWidth::Kind::Columns:
        if (!(number >= 1))
          throw ConfigError("a projector's hidden width must be positive, not " + number_text(number));
        return static_cast<int>(number);
      case HiddenWidth::Kind::Times:
        return times(number);
      case HiddenWidth::Kind::Usual:
        break;
    }
    return times(2.0);
  }

 private:
  int times(double factor) const {
    if (!(factor > 0.0) || !std::isfinite(factor))
      throw ConfigError("a projector's expansion must be positive, not " + number_text(factor));
    const double wanted = std::max(1.0, std::round(factor * d_in));
    return sizes::checked("a projector that expands a width of " + std::to_string(d_in) + " by " + number_text(factor),
                          wanted < 9e18 ? static_cast<std::int64_t>(wanted) : std::int64_t{9'000'000'000'000'000'000},
                          "hidden columns", sizes::product(d_in, sizeof(float)));
  }
};

}  // namespace neural_attention
