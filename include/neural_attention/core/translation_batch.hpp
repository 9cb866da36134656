// A packed batch of sentence pairs on the host: no padding, one flat list of ids and the offsets of the sentences.
#pragma once

#include <span>
#include <vector>

#include "neural_attention/core/packed_tokens.hpp"

namespace neural_attention {

/// Source sentences, the decoder's input (labels shifted right, after the start token), and the labels.
class TranslationBatch {
 public:
  /// `decoder_start` is the first token in decoding: Marian's pad_token_id.
  explicit TranslationBatch(int decoder_start) : decoder_start_(decoder_start) {}

  void clear() {
    source.clear();
    decoder_input.clear();
    labels.clear();
    prefixes.clear();
  }
  /// Both sides end with their end-of-sentence token.
  void push(std::span<const int> source_ids, std::span<const int> target_ids) {
    source.push(source_ids);
    shifted_.clear();
    if (!target_ids.empty()) {
      shifted_.push_back(decoder_start_);
      shifted_.insert(shifted_.end(), target_ids.begin(), target_ids.end() - 1);
    }
    decoder_input.push(shifted_);
    labels.insert(labels.end(), target_ids.begin(), target_ids.end());
  }
  /// A source to be translated, by a result that begins with `prefix` after the start token. Such batches do not
  /// train.
  void push_source(std::span<const int> source_ids, std::span<const int> prefix) {
    push(source_ids, {});
    prefixes.push(prefix);
  }
  int sentences() const { return source.offsets().sequences(); }
  /// The unit of training speed: target tokens.
  long counted_tokens() const { return static_cast<long>(labels.size()); }

  /// Makes this batch the continuation of `before` in one optimizer step.
  void follow(const TranslationBatch& before) {
    source.follow(before.source);
    decoder_input.follow(before.decoder_input);
  }

  PackedTokens source;
  PackedTokens decoder_input;
  std::vector<int> labels;
  PackedTokens prefixes;  ///< none, or one a source

 private:
  int decoder_start_;
  std::vector<int> shifted_;
};

}  // namespace neural_attention
