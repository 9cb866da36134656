// A packed batch for a causal language model on the host: sequences without their last token, and for each token the
// one after it. No padding.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "neural_attention/core/packed_tokens.hpp"

namespace neural_attention {

class CausalBatch : public PackedTokens {
 public:
  void clear() {
    PackedTokens::clear();
    labels.clear();
  }
  /// A sequence of n ids, of which n - 1 are predicted: all after the first one.
  void push(std::span<const int> ids) {
    PackedTokens::push(ids.first(ids.empty() ? 0 : ids.size() - 1));
    if (!ids.empty()) labels.insert(labels.end(), ids.begin() + 1, ids.end());
  }
  /// Memory for `size` ids that are to be pushed, until the next call.
  std::span<int> buffer(std::size_t size) {
    buffer_.resize(size);
    return buffer_;
  }
  /// The tokens that the speed of training counts: the predicted ones.
  long counted_tokens() const { return static_cast<long>(labels.size()); }

  std::vector<int> labels;

 private:
  std::vector<int> buffer_;
};

}  // namespace neural_attention
