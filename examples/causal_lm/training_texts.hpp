// What --windows makes of texts: windows of one long run of tokens, or lines that are texts of their own.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "causal_lm/corpus.hpp"
#include "neural_attention/core/causal_batch.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/text/data/causal_documents.hpp"
#include "neural_attention/text/data/causal_windows.hpp"
#include "neural_attention/text/data/lines.hpp"

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

  /// Each line between the special tokens that the vocabulary has. Throws FileError if no line can train, or for a
  /// token file, and LineError for a line that cannot be encoded.
  static TrainingTexts in_lines(const CorpusFiles& files, const TextTokenizer& tokenizer, int block_size,
                                const na::text::BatchOptions& options) {
    const auto& first = files.paths().front();
    if (files.are_tokens())
      throw na::FileError(first, "is a token file, which does not show where lines end: --windows lines needs text");
    const na::HostWork work("tokenizing");
    na::text::TokenSequences texts;
    std::vector<int> ids;
    for (const auto& path : files.paths()) {
      const auto lines = na::text::read_lines(path);
      for (std::size_t i = 0; i < lines.size(); ++i) {
        if (na::strip_left(lines[i]).empty()) continue;
        ids.clear();
        if (tokenizer.begin_id() >= 0) ids.push_back(tokenizer.begin_id());
        try {
          const auto text = tokenizer.encode(lines[i]);
          ids.insert(ids.end(), text.begin(), text.end());
        } catch (const na::TextError& error) {
          throw na::LineError(path, static_cast<long>(i) + 1, error.what());
        }
        if (tokenizer.end_id() >= 0) ids.push_back(tokenizer.end_id());
        texts.add(ids);
      }
    }
    try {
      return TrainingTexts({}, texts.tokens(), na::text::CausalDocuments(texts, block_size, options));
    } catch (const na::TextError& error) {
      throw na::FileError(first, error.what());
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
