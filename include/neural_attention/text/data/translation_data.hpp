// TranslationData: tokenized sentence pairs, as the batches of a Trainer.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "neural_attention/core/translation_batch.hpp"
#include "neural_attention/text/data/batches.hpp"
#include "neural_attention/text/data/fingerprint.hpp"

namespace neural_attention::text {

class TranslationData {
 public:
  using Batch = TranslationBatch;

  /// `options.epoch` is set by begin_epoch; `decoder_start` is the token before the first target token.
  TranslationData(TokenizedPairs pairs, BatchOptions options, int decoder_start)
      : pairs_(std::move(pairs)), options_(options), decoder_start_(decoder_start) {
    begin_epoch(0);
  }

  /// Plans the batches of `epoch`: the same ones every time.
  void begin_epoch(int epoch) {
    if (planned_ && (epoch == options_.epoch || !options_.shuffle)) return;
    options_.epoch = epoch;
    plan_ = plan_batches(pairs_, options_);
    planned_ = true;
  }

  std::size_t batches() const { return plan_.size(); }
  Batch empty_batch() const { return Batch(decoder_start_); }

  void fill(std::size_t index, Batch& batch) const {
    batch.clear();
    for (const int sentence : plan_[index]) {
      const auto i = static_cast<std::size_t>(sentence);
      batch.push(pairs_.source(i), pairs_.target(i));
    }
  }

  /// Pairs in the batches before `index` of this epoch, index ≤ batches().
  std::size_t sequences_before(std::size_t index) const { return plan_.sentences_before(index); }
  /// Text that distinguishes these pairs from others.
  std::string fingerprint() const {
    Fingerprint print;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      print.add(pairs_.source(i));
      print.add(pairs_.target(i));
    }
    return print.text(pairs_.size());
  }

  const TokenizedPairs& pairs() const { return pairs_; }
  std::span<const int> sentences(std::size_t index) const { return plan_[index]; }

 private:
  TokenizedPairs pairs_;
  BatchOptions options_;
  int decoder_start_;
  BatchPlan plan_;
  bool planned_ = false;
};

}  // namespace neural_attention::text
