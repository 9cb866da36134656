// What `causal_lm evaluate` predicts: windows of a text, or of its lines one by one. They may overlap, and each token
// is new in one of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "causal_lm/corpus.hpp"
#include "neural_attention/core/causal_batch.hpp"
#include "neural_attention/core/sizes.hpp"

namespace examples {

/// A window that predicts the tokens [first + 1, end], of which those from `counted` on are new.
struct StridedWindow {
  std::size_t first, end, counted;
};

/// Appends windows of up to `block` predictions that begin each `stride` tokens of [begin, end), until its last token
/// is predicted; each prediction is new in one of them.
inline void add_windows(std::size_t begin, std::size_t end, std::size_t block, std::size_t stride,
                        std::vector<StridedWindow>& windows) {
  std::size_t predicted = begin;
  for (std::size_t first = begin; predicted + 1 < end; first += stride) {
    const auto last = std::min(first + block, end - 1);
    windows.push_back({first, last, predicted + 1});
    predicted = last;
  }
}

/// Bytes and characters of text.
struct TextSize {
  std::size_t bytes = 0, characters = 0;
};

/// The rows of a batch that count, and their labels.
struct CountedTokens {
  std::vector<int> rows, labels;
};

class EvaluatedText {
 public:
  /// All of a text or a token file. Throws FileError if there is nothing to predict, and as tokens_of does.
  static EvaluatedText whole(CorpusFiles& files, const TextTokenizer& tokenizer, std::size_t block,
                             std::size_t stride) {
    EvaluatedText text(tokens_of(files, tokenizer));
    const auto size = text.tokens_.size();
    if (size < 2)
      throw na::FileError(files.paths().front(),
                          "is too short: of " + std::to_string(size) + " tokens there is nothing to predict");
    add_windows(0, size, block, stride, text.windows_);
    return text;
  }

  /// The lines of line_tokens(), whose first tokens nothing predicts. Throws FileError if no line has a second one, and
  /// as line_tokens does.
  static EvaluatedText by_lines(CorpusFiles& files, const TextTokenizer& tokenizer, std::size_t block,
                                std::size_t stride) {
    const auto lines = line_tokens(files, tokenizer);
    std::vector<int> all;
    std::vector<StridedWindow> windows;
    all.reserve(lines.tokens());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      all.insert(all.end(), lines[i].begin(), lines[i].end());
      add_windows(all.size() - lines[i].size(), all.size(), block, stride, windows);
    }
    if (windows.empty())
      throw na::FileError(files.paths().front(), "has no line with a token that another one predicts");
    EvaluatedText text(Tokens(na::text::TokenArray(std::move(all))));
    text.windows_ = std::move(windows);
    return text;
  }

  std::size_t windows() const { return windows_.size(); }
  /// Tokens that are predicted.
  std::size_t predictions() const {
    return std::accumulate(windows_.begin(), windows_.end(), std::size_t{0},
                           [](std::size_t sum, const StridedWindow& one) { return sum + one.end + 1 - one.counted; });
  }
  std::string fingerprint() const { return tokens_.fingerprint(); }

  /// Throws ConfigError if `together` windows in a batch would have more tokens than an int counts.
  void check_batches(std::size_t together) const {
    for (std::size_t begin = 0; begin < windows_.size(); begin += together) {
      std::int64_t tokens = 0;
      const auto end = std::min(begin + together, windows_.size());
      for (auto w = begin; w < end; ++w) tokens += static_cast<std::int64_t>(windows_[w].end - windows_[w].first);
      na::sizes::checked("a batch of " + std::to_string(end - begin) + " windows", tokens, "tokens",
                         3 * sizeof(int));  // with positions and labels
    }
  }

  /// The windows [begin, end), and what counts in them.
  void fill(std::size_t begin, std::size_t end, na::CausalBatch& batch, CountedTokens& counted) const {
    batch.clear();
    counted.rows.clear();
    counted.labels.clear();
    for (auto w = begin; w < end; ++w) {
      const auto& window = windows_[w];
      const auto ids = batch.buffer(window.end - window.first + 1);
      tokens_.read(window.first, ids);
      const int begin_of_window = batch.total();
      batch.push(ids);
      for (auto i = window.counted - window.first; i < ids.size(); ++i) {
        counted.rows.push_back(begin_of_window + static_cast<int>(i) - 1);
        counted.labels.push_back(ids[i]);
      }
    }
  }

  /// The size of the text of all predicted tokens. Special tokens, such as the end token between two texts, are no
  /// text. Throws FileError, which names `path`, for an id without a piece.
  TextSize predicted_text(const TextTokenizer& tokenizer, const std::string& path) const {
    TextSize size;
    std::vector<int> ids;
    for (const auto& window : windows_) {
      ids.resize(window.end + 1 - window.counted);
      tokens_.read(window.counted, ids);
      std::string text;
      try {
        text = tokenizer.decode(ids);
      } catch (const na::ConfigError& error) {
        throw na::FileError(path, error.what());
      }
      size.bytes += text.size();
      size.characters += static_cast<std::size_t>(std::count_if(
          text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
    }
    return size;
  }

 private:
  explicit EvaluatedText(Tokens tokens) : tokens_(std::move(tokens)) {}

  Tokens tokens_;
  std::vector<StridedWindow> windows_;
};

}  // namespace examples
