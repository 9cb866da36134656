// Attention maps as one standalone SVG picture: a panel for each head, before them their mean. In a panel the columns
// are the source's pieces and the rows the target's, and the strength of a cell's colour is the probability [0, 1]:
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
  bool mean = true;     ///< a first panel with the mean of all others, where there are several
};

/// The picture. Throws ConfigError where there is nothing to draw or an option makes no sense, ShapeError where a panel
/// has not targets · sources probabilities, NumericError where one is not a number from 0 to 1.
std::string attention_map(const AttentionMapOptions& options, std::span<const std::string> sources,
                          std::span<const std::string> targets, std::span<const AttentionPanel> heads);

}  // namespace neural_attention::report

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/report/impl/attention_svg.hpp"
#endif
