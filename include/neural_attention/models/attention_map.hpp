// The attention of one head, on the host: the probability of each key for each query.
#pragma once

#include <vector>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

struct AttentionMap {
  int layer = 0;
  int head = 0;
  int queries = 0;
  int keys = 0;
  std::vector<float> probabilities;  ///< [queries, keys]; every row sums to 1
};

}  // namespace neural_attention
