// A packed batch for a masked language model on the host: sequences in which some tokens are masked, and which tokens
// stood there. No padding.
#pragma once

#include <span>
#include <vector>

#include "neural_attention/core/packed_tokens.hpp"

namespace neural_attention {

class MaskedBatch {
 public:
  /// `pad` is the id that has no position: Hugging Face's RoBERTa counts positions over the other tokens, from pad + 1.
  explicit MaskedBatch(int pad) : pad_(pad) {}

  void clear() {
    tokens.clear();
    position_rows.clear();
    token_types.clear();
    masked_rows.clear();
    labels.clear();
  }

  /// A sequence as the model sees it; places[i], in rising order, was `originals[i]` before it was masked.
  void push(std::span<const int> ids, std::span<const int> places, std::span<const int> originals) {
    const int first = tokens.total();
    for (const int place : places) masked_rows.push_back(first + place);
    labels.insert(labels.end(), originals.begin(), originals.end());
    int position = pad_;
    for (const int id : ids) position_rows.push_back(id == pad_ ? pad_ : ++position);
    token_types.resize(token_types.size() + ids.size(), 0);
    tokens.push(ids);
  }
  int sequences() const { return tokens.offsets().sequences(); }
  /// What the speed of training is measured in: all tokens, not only the masked ones.
  long counted_tokens() const { return tokens.total(); }

  /// Makes this batch the continuation of `before` in one optimizer step.
  void follow(const MaskedBatch& before) { tokens.follow(before.tokens); }

  PackedTokens tokens;
  std::vector<int> position_rows;  ///< of the table of positions, for each token
  std::vector<int> token_types;    ///< all 0: RoBERTa has one type
  std::vector<int> masked_rows;    ///< rows of `tokens` that are to be predicted, rising
  std::vector<int> labels;         ///< what stood there

 private:
  int pad_;
};

}  // namespace neural_attention
