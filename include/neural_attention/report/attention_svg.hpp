// Attention maps as one standalone SVG picture: a panel with the mean of all heads, then a panel for each head. Columns
// are the source's pieces, rows the target's, and the strength of a cell's colour is the probability [0, 1]:
// panels[h].probabilities is [targets, sources], row after row.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::report {

struct AttentionPanel {
  std::string name;
  std::vector<float> probabilities;  ///< [targets, sources]
};

struct AttentionMapOptions {
  std::string title = "attention";
  int columns = 3;      ///< panels side by side, at least 1
  int max_pieces = 48;  ///< of a side; what lies beyond is not drawn, and the picture says so
  bool mean = true;     ///< a first panel with the mean of all others, if there are several
};

/// The picture. Throws ConfigError if there is nothing to draw or an option makes no sense, ShapeError if a panel does
/// not have targets · sources probabilities, NumericError if one is not a number from 0 to 1.
std::string attention_map(const AttentionMapOptions& options, std::span<const std::string> sources,
                          std::span<const std::string> targets, std::span<const AttentionPanel> heads);

}  // namespace neural_attention::report

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/report/impl/attention_svg.hpp"
#endif
