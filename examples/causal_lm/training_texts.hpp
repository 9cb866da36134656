// What --windows makes of texts: windows of one long run of tokens, or lines that are texts of their own.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "causal_lm/corpus.hpp"
#include "neural_attention/core/causal_batch.hpp"
#include "neural_attention/text/data/causal_documents.hpp"
#include "neural_attention/text/data/causal_windows.hpp"

namespace examples {

/// The data of a training run.
class TrainingTexts {
 public:
  using Batch = na::CausalBatch;
  using Kind = std::variant<na::text::CausalWindows<Tokens>, na::text::CausalDocuments>;

  /// Windows of all texts, one behind another. Throws FileError if there are too few tokens.
  static TrainingTexts in_windows(CorpusFiles& files, const TextTokenizer& tokenizer,
                                  const na::text::WindowOptions& options) {
    auto tokens = std::make_unique<const Tokens>(tokens_of(files, tokenizer));
    const auto count = tokens->size();
    auto windows = windows_of(*tokens, files, options);
    return TrainingTexts(std::move(tokens), count, std::move(windows));
  }

  /// The lines of line_tokens(), none of which goes on in the next. Throws as that does, and FileError if no line can
  /// train.
  static TrainingTexts in_lines(CorpusFiles& files, const TextTokenizer& tokenizer, int block_size,
                                const na::text::BatchOptions& options) {
    const auto texts = line_tokens(files, tokenizer);
    try {
      return TrainingTexts({}, texts.tokens(), na::text::CausalDocuments(texts, block_size, options));
    } catch (const na::TextError& error) {
      throw na::FileError(files.paths().front(), error.what());
    }
  }

  std::size_t tokens() const { return count_; }

  void begin_epoch(int epoch) {
    std::visit([&](auto& data) { data.begin_epoch(epoch); }, kind_);
  }
  std::size_t batches() const {
    return std::visit([](const auto& data) { return data.batches(); }, kind_);
  }
  Batch empty_batch() const { return {}; }
  void fill(std::size_t index, Batch& batch) const {
    std::visit([&](const auto& data) { data.fill(index, batch); }, kind_);
  }
  std::size_t sequences_before(std::size_t index) const {
    return std::visit([&](const auto& data) { return data.sequences_before(index); }, kind_);
  }
  std::string fingerprint() const {
    return std::visit([](const auto& data) { return data.fingerprint(); }, kind_);
  }

 private:
  TrainingTexts(std::unique_ptr<const Tokens> tokens, std::size_t count, Kind kind)
      : tokens_(std::move(tokens)), count_(count), kind_(std::move(kind)) {}

  std::unique_ptr<const Tokens> tokens_;  // of windows, which refer to them
  std::size_t count_;
  Kind kind_;
};

}  // namespace examples
