// Which tokens may follow a history, by Hugging Face's logits processors: no_repeat_ngram_size, bad_words_ids,
// min_length, min_new_tokens, suppress_tokens, begin_suppress_tokens, forced_bos_token_id and forced_eos_token_id. All
// of them only rule tokens out, so their order does not matter, except for the forced tokens, which overrule the
// others. repetition_penalty, which comes before them, changes scores. A history begins with a prompt, often a start
// token alone, whose tokens count as any other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "neural_attention/decode/generation_config.hpp"

namespace neural_attention {

class LogitsProcessors {
 public:
  /// `how` is resolved: it has the ids of a model. It must outlive the processors.
  explicit LogitsProcessors(const GenerationConfig& how) : how_(&how) {
    for (const auto& word : how.bad_words_ids)
      if (word.size() != 1 || !how.ends(word.front())) bad_words_.push_back(word);  // an end alone cannot be a bad word
  }

  /// The only token that may follow a history of `length` tokens, its prompt of `prompt` tokens included, with
  /// probability 1; -1 if several may.
  int forced(int length, std::size_t prompt) const {
    if (length == how_->limit(static_cast<std::int64_t>(prompt)) - 1 && how_->forced_eos_token_id >= 0)
      return how_->forced_eos_token_id;
    return length == 1 ? how_->forced_bos_token_id : -1;
  }

  bool penalizes() const { return how_->repetition_penalty != 1.0; }
  /// The score of a token that the history has.
  double penalized(double score) const {
    return score < 0.0 ? score * how_->repetition_penalty : score / how_->repetition_penalty;
  }

  /// Appends the tokens that may not follow `history`, which begins with a prompt of `prompt` tokens; one may be named
  /// twice.
  void forbid(std::span<const int> history, std::size_t prompt, std::vector<int>& tokens) const {
    const auto append = [&](const std::vector<int>& all) { tokens.insert(tokens.end(), all.begin(), all.end()); };
    if (std::ssize(history) < how_->least(static_cast<std::int64_t>(prompt))) {
      if (how_->eos_token_id >= 0) tokens.push_back(how_->eos_token_id);
      append(how_->further_eos_token_ids);
    }
    append(how_->suppress_tokens);
    const bool forced_first = prompt == 1 && how_->forced_bos_token_id >= 0;
    if (history.size() == prompt + (forced_first ? 1 : 0)) append(how_->begin_suppress_tokens);
    forbid_repeated(history, tokens);
    for (const auto& word : bad_words_) {
      const auto before = word.size() - 1;
      if (before > history.size()) continue;
      if (std::equal(word.begin(), word.end() - 1, history.end() - static_cast<std::ptrdiff_t>(before)))
        tokens.push_back(word.back());
    }
  }

 private:
  /// What followed the last n-1 tokens before may not follow them again.
  void forbid_repeated(std::span<const int> history, std::vector<int>& tokens) const {
    const int ngram = how_->no_repeat_ngram_size;
    if (ngram == 0 || std::ssize(history) < ngram) return;
    const auto before = static_cast<std::size_t>(ngram - 1);
    const auto newest = history.last(before);
    for (std::size_t i = 0; i + before < history.size(); ++i)
      if (std::equal(newest.begin(), newest.end(), history.begin() + static_cast<std::ptrdiff_t>(i)))
        tokens.push_back(history[i + before]);
  }

  const GenerationConfig* how_;
  std::vector<std::vector<int>> bad_words_;
};

}  // namespace neural_attention
