// MaskedLmData: masked sequences of token ids, as the batches of a Trainer. TokenMasker draws the masks from a
// sequence's number and the epoch, so an epoch is a pure function of (seeds, epoch).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/masked_batch.hpp"
#include "neural_attention/text/data/batches.hpp"
#include "neural_attention/text/data/fingerprint.hpp"
#include "neural_attention/text/data/masked_lm_blocks.hpp"
#include "neural_attention/text/data/masking.hpp"

namespace neural_attention::text {

class MaskedLmData {
 public:
  using Batch = MaskedBatch;

  /// Leaves out sequences in which nothing can be masked. begin_epoch sets `options.epoch`. Throws ConfigError if the
  /// options make no sense or an id is outside the vocabulary, and TextError if no sequence remains.
  MaskedLmData(const TokenSequences& blocks, MaskingVocabulary vocabulary, const BatchOptions& options,
               const MaskingOptions& masking)
      : options_(options), masker_(std::move(vocabulary), masking) {
    const auto count = blocks.size();
    TokenSequences useful;
    for (std::size_t i = 0; i < count; ++i)
      if (has_maskable(blocks[i])) useful.add(blocks[i]);
    if (useful.size() == 0 && count > 0)
      throw TextError("none of the " + std::to_string(count) + " sequences has a token that can be masked");
    blocks_ = std::move(useful);
    begin_epoch(0);
  }

  /// As above, for the vocabulary of `tokenizer`, as ByteBpe.
  template <class Tokenizer>
  requires requires(const Tokenizer& tokenizer) { tokenizer.mask_id(); }
  MaskedLmData(const TokenSequences& blocks, const Tokenizer& tokenizer, const BatchOptions& options,
               const MaskingOptions& masking)
      : MaskedLmData(blocks, masking_vocabulary(tokenizer), options, masking) {}

  /// Plans the batches of `epoch` and draws its masks: the same ones every time.
  void begin_epoch(int epoch) {
    const bool same = planned_ && (epoch == options_.epoch || !options_.shuffle);
    options_.epoch = epoch;
    if (same) return;
    plan_ = plan_batches(blocks_, options_);
    planned_ = true;
  }

  std::size_t batches() const { return plan_.size(); }
  Batch empty_batch() const { return Batch(masker_.vocabulary().pad_id); }

  /// If chance chooses no token of a batch, the first token that may be chosen is: a mean needs a label.
  void fill(std::size_t index, Batch& batch) const {
    fill(index, batch, TokenMasker::Choose::ByChance);
    if (batch.labels.empty()) fill(index, batch, TokenMasker::Choose::AtLeastOne);
  }

  /// Sequences in the batches before `index` of this epoch, index ≤ batches().
  std::size_t sequences_before(std::size_t index) const { return plan_.sentences_before(index); }
  /// Text that distinguishes these sequences from others.
  std::string fingerprint() const {
    Fingerprint print;
    for (std::size_t i = 0; i < blocks_.size(); ++i) print.add(blocks_[i]);
    return print.text(blocks_.size());
  }

  const TokenSequences& blocks() const { return blocks_; }
  std::span<const int> sequences(std::size_t index) const { return plan_[index]; }

 private:
  bool has_maskable(std::span<const int> ids) const {
    bool found = false;
    for (const int id : ids) found = masker_.can_mask(id) || found;  // every id is checked
    return found;
  }

  void fill(std::size_t index, Batch& batch, TokenMasker::Choose how_many) const {
    batch.clear();
    MaskedSequence masked;
    for (const int block : plan_[index]) {
      masker_.mask(blocks_[static_cast<std::size_t>(block)], options_.epoch, static_cast<std::uint32_t>(block),
                   batch.labels.empty() ? how_many : TokenMasker::Choose::ByChance, masked);
      batch.push(masked.ids, masked.places, masked.originals);
    }
  }

  TokenSequences blocks_;
  BatchOptions options_;
  TokenMasker masker_;
  BatchPlan plan_;
  bool planned_ = false;
};

}  // namespace neural_attention::text
