// A packed batch for an encoder as BERT's on the host: token ids with their types and their places in the table of
// positions. No padding. Labels belong to batches that derive from this one.
#pragma once

#include <span>
#include <vector>

#include "neural_attention/core/packed_tokens.hpp"

namespace neural_attention {

class EncoderBatch {
 public:
  /// `pad` is the id that has no position: Hugging Face's RoBERTa counts positions over the other tokens, from pad + 1.
  explicit EncoderBatch(int pad) : pad_(pad) {}

  void clear() {
    tokens.clear();
    position_rows.clear();
    token_types.clear();
  }

  void push(std::span<const int> ids) {
    int position = pad_;
    for (const int id : ids) position_rows.push_back(id == pad_ ? pad_ : ++position);
    token_types.resize(token_types.size() + ids.size(), 0);
    tokens.push(ids);
  }
  int sequences() const { return tokens.offsets().sequences(); }
  const Ragged& offsets() const { return tokens.offsets(); }
  const Place& place() const { return tokens.place(); }
  /// The tokens that the speed of training counts: all of them.
  long counted_tokens() const { return tokens.total(); }

  /// Makes this batch the continuation of `before` in one optimizer step.
  void follow(const EncoderBatch& before) { tokens.follow(before.tokens); }

  PackedTokens tokens;
  std::vector<int> position_rows;  ///< of the table of positions, for each token
  std::vector<int> token_types;    ///< all 0: RoBERTa has one type

 private:
  int pad_;
};

}  // namespace neural_attention
