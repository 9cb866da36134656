// A packed batch for a masked language model on the host: sequences with some masked tokens, and the original tokens.
// No padding.
#pragma once

#include <span>
#include <vector>

#include "neural_attention/core/encoder_batch.hpp"

namespace neural_attention {

class MaskedBatch : public EncoderBatch {
 public:
  using EncoderBatch::EncoderBatch;

  void clear() {
    EncoderBatch::clear();
    masked_rows.clear();
    labels.clear();
  }

  /// A sequence as the model sees it; places[i], in ascending order, held `originals[i]` before masking.
  void push(std::span<const int> ids, std::span<const int> places, std::span<const int> originals) {
    const int first = tokens.total();
    for (const int place : places) masked_rows.push_back(first + place);
    labels.insert(labels.end(), originals.begin(), originals.end());
    EncoderBatch::push(ids);
  }

  std::vector<int> masked_rows;  ///< rows of `tokens` that are to be predicted, rising, none twice
  std::vector<int> labels;       ///< what stood there, one for each masked row
};

}  // namespace neural_attention
