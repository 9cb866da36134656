// Which tokens may follow a history, by Hugging Face's logits processors: no_repeat_ngram_size, bad_words_ids,
// min_length and forced_eos_token_id. All of them only rule tokens out, so their order does not matter, but for the
// forced token, which overrules the others. A history begins with the start token, which counts as any other.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "neural_attention/decode/generation_config.hpp"

namespace neural_attention {

class LogitsProcessors {
 public:
  /// `how` is resolved: it has the ids of a model.
  explicit LogitsProcessors(const GenerationConfig& how)
      : ngram_(how.no_repeat_ngram_size),
        min_length_(how.min_length),
        max_length_(how.max_length),
        eos_(how.eos_token_id),
        forced_eos_(how.forced_eos_token_id) {
    for (const auto& word : how.bad_words_ids)
      if (word != std::vector<int>{eos_}) bad_words_.push_back(word);  // the end alone cannot be a bad word
  }

  /// The one token that may follow a history of `length` tokens, with probability 1; -1: several may.
  int forced(int length) const { return length == max_length_ - 1 ? forced_eos_ : -1; }

  /// Appends the tokens that may not follow `history`; one may be named twice.
  void forbid(std::span<const int> history, std::vector<int>& tokens) const {
    if (static_cast<int>(history.size()) < min_length_) tokens.push_back(eos_);
    forbid_repeated(history, tokens);
    for (const auto& word : bad_words_) {
      const auto before = word.size() - 1;
      if (before > 0 && word.size() > history.size()) continue;
      if (std::equal(word.begin(), word.end() - 1, history.end() - static_cast<std::ptrdiff_t>(before)))
        tokens.push_back(word.back());
    }
  }

 private:
  /// The last n-1 tokens may not be followed by what followed them before.
  void forbid_repeated(std::span<const int> history, std::vector<int>& tokens) const {
    if (ngram_ == 0 || std::ssize(history) < ngram_) return;
    const auto before = static_cast<std::size_t>(ngram_ - 1);
    const auto newest = history.last(before);
    for (std::size_t i = 0; i + before < history.size(); ++i)
      if (std::equal(newest.begin(), newest.end(), history.begin() + static_cast<std::ptrdiff_t>(i)))
        tokens.push_back(history[i + before]);
  }

  int ngram_, min_length_, max_length_, eos_, forced_eos_;
  std::vector<std::vector<int>> bad_words_;
};

}  // namespace neural_attention
