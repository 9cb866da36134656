// CausalDocuments: texts that stand alone, as the batches of a Trainer for a causal language model. No window goes from
// one text to the next, so a token is predicted from its own text only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

#include "neural_attention/core/causal_batch.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/data/batches.hpp"
#include "neural_attention/text/data/fingerprint.hpp"

namespace neural_attention::text {

class CausalDocuments {
 public:
  using Batch = CausalBatch;

  /// `texts` hold the ids of each text with the special tokens around it. One that predicts more than `block_size`
  /// tokens is cut into parts that predict this many tokens each; a part of a single token predicts nothing and is left
  /// out. `options.epoch` is set by begin_epoch. Throws ConfigError as plan_batches does and for a block_size below 1,
  /// and TextError if nothing is left.
  CausalDocuments(const TokenSequences& texts, int block_size, BatchOptions options) : options_(options) {
    if (block_size < 1)
      throw ConfigError("a part of a text needs at least one token, not " + std::to_string(block_size));
    const auto block = static_cast<std::size_t>(block_size);
    for (std::size_t i = 0; i < texts.size(); ++i)
      for (auto rest = texts[i]; rest.size() > 1; rest = rest.subspan(std::min(block, rest.size() - 1)))
        parts_.add(rest.first(std::min(block + 1, rest.size())));
    if (parts_.size() == 0) throw TextError("no text has a token that another one predicts");
    begin_epoch(0);
  }

  /// Plans the batches of `epoch`: the same ones every time.
  void begin_epoch(int epoch) {
    if (plan_.sentences() > 0 && (epoch == options_.epoch || !options_.shuffle)) return;
    options_.epoch = epoch;
    plan_ = plan_batches(parts_, options_);
  }

  std::size_t batches() const { return plan_.size(); }
  Batch empty_batch() const { return {}; }

  void fill(std::size_t index, Batch& batch) const {
    batch.clear();
    for (const int part : plan_[index]) batch.push(parts_[static_cast<std::size_t>(part)]);
  }

  /// Parts in the batches before `index` of this epoch, index ≤ batches().
  std::size_t sequences_before(std::size_t index) const { return plan_.sentences_before(index); }
  /// Text that distinguishes these texts from others.
  std::string fingerprint() const {
    Fingerprint print;
    for (std::size_t i = 0; i < parts_.size(); ++i) print.add(parts_[i]);
    return print.text(parts_.size());
  }

  const TokenSequences& parts() const { return parts_; }

 private:
  TokenSequences parts_;
  BatchOptions options_;
  BatchPlan plan_;
};

}  // namespace neural_attention::text
