// Tokenized sequences or sentence pairs, and the order in which an epoch visits them. There is no padding, so a batch
// is a list of sentences, and its cost is its number of tokens; for pairs, of the longer side: max(Σ source tokens, Σ
// target tokens). An epoch's order is a pure function of (seed, epoch), so resuming in the middle of it needs no saved
// state.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/text/data/parallel_corpus.hpp"

namespace neural_attention::text {

/// Sequences of ids, one after another in one array.
class TokenSequences {
 public:
  void add(std::span<const int> ids) {
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    offsets_.push_back(ids_.size());
  }
  std::size_t size() const { return offsets_.size() - 1; }
  std::size_t tokens() const { return ids_.size(); }
  std::span<const int> operator[](std::size_t i) const {
    return {ids_.data() + offsets_[i], offsets_[i + 1] - offsets_[i]};
  }
  /// The cost of sequence `i`, by which plan_batches sorts and which it adds up.
  std::array<std::size_t, 1> costs(std::size_t i) const { return {offsets_[i + 1] - offsets_[i]}; }

 private:
  std::vector<int> ids_;
  std::vector<std::size_t> offsets_ = {0};
};

/// Pairs of a source and a target sequence of ids, each with its </s>.
class TokenizedPairs {
 public:
  void add(std::span<const int> source, std::span<const int> target) {
    source_.add(source);
    target_.add(target);
  }
  std::size_t size() const { return source_.size(); }
  std::span<const int> source(std::size_t i) const { return source_[i]; }
  std::span<const int> target(std::size_t i) const { return target_[i]; }
  std::size_t source_tokens() const { return source_.tokens(); }
  std::size_t target_tokens() const { return target_.tokens(); }
  /// The cost of pair `i` on each side, by which plan_batches sorts and which it adds up.
  std::array<std::size_t, 2> costs(std::size_t i) const { return {target_[i].size(), source_[i].size()}; }

 private:
  TokenSequences source_, target_;
};

/// Shortens to `limit` ids as HF does: the first limit-1 stay and </s> follows. 0 means no limit.
inline void truncate(std::vector<int>& ids, int limit, int eos_id) {
  if (limit < 0) throw ConfigError("a sequence length limit of " + std::to_string(limit) + " makes no sense");
  if (limit == 0 || ids.size() <= static_cast<std::size_t>(limit)) return;
  ids.resize(static_cast<std::size_t>(limit));
  ids.back() = eos_id;
}

/// Ids of every pair, at most `max_source` and `max_target` tokens long, </s> included (0: no limit). `Tokenizer` has
/// source_ids, target_ids and eos_id, as MarianTokenizer.
template <class Tokenizer>
TokenizedPairs tokenize(const ParallelCorpus& corpus, const Tokenizer& tokenizer, int max_source, int max_target) {
  const HostWork work("tokenizing");
  if (corpus.source.size() != corpus.target.size())
    throw ShapeError("the corpus has " + std::to_string(corpus.source.size()) + " source and " +
                     std::to_string(corpus.target.size()) + " target sentences");
  TokenizedPairs pairs;
  for (std::size_t i = 0; i < corpus.size(); ++i) {
    auto source = tokenizer.source_ids(corpus.source[i]);
    auto target = tokenizer.target_ids(corpus.target[i]);
    truncate(source, max_source, tokenizer.eos_id());
    truncate(target, max_target, tokenizer.eos_id());
    pairs.add(source, target);
  }
  return pairs;
}

/// Exactly one of `sentences` and `tokens` is positive.
struct BatchOptions {
  int sentences = 0;    ///< a batch has this many sentences, the last one the rest (HF)
  int tokens = 0;       ///< a batch costs at most this much, unless it is one sentence (Marian's mini-batch-words)
  bool shuffle = true;  ///< else the order of the corpus
  std::uint64_t seed = 1;
  int epoch = 0;
  int maxi_batches = 100;  ///< with `tokens`: about so many batches are sorted by length together; 0: no sorting
};

/// Batches of sentence indices.
class BatchPlan {
 public:
  std::size_t size() const { return offsets_.size() - 1; }
  std::size_t sentences() const { return sentences_.size(); }
  std::span<const int> operator[](std::size_t i) const {
    return {sentences_.data() + offsets_[i], offsets_[i + 1] - offsets_[i]};
  }
  /// How many sentences the batches before `i` hold, i ≤ size().
  std::size_t sentences_before(std::size_t i) const { return offsets_[i]; }
  void add(std::span<const int> batch) {
    sentences_.insert(sentences_.end(), batch.begin(), batch.end());
    offsets_.push_back(sentences_.size());
  }

 private:
  std::vector<int> sentences_;
  std::vector<std::size_t> offsets_ = {0};
};

/// How many of the first `order` sentences fit into `budget`; at least one.
template <class Sentences>
std::size_t sentences_within(const Sentences& sentences, std::span<const int> order, std::size_t budget) {
  decltype(sentences.costs(0)) sums{};
  std::size_t count = 0;
  for (const int sentence : order) {
    const auto costs = sentences.costs(static_cast<std::size_t>(sentence));
    for (std::size_t side = 0; side < sums.size(); ++side) sums[side] += costs[side];
    if (count > 0 && *std::max_element(sums.begin(), sums.end()) > budget) break;
    ++count;
  }
  return count;
}

/// The batches of one epoch; every sentence is in exactly one. By sentences: the (shuffled) order is cut into pieces.
/// By tokens: the (shuffled) order is cut into maxi-batches, each is sorted by length and cut at the budget, and the
/// batches are shuffled. `Sentences` is TokenizedPairs or TokenSequences. Throws ConfigError if the options make no
/// sense.
template <class Sentences>
BatchPlan plan_batches(const Sentences& sentences, const BatchOptions& options) {
  if (options.sentences < 0 || options.tokens < 0 || (options.sentences > 0) == (options.tokens > 0))
    throw ConfigError("a batch size is needed either in sentences or in tokens, not " +
                      std::to_string(options.sentences) + " sentences and " + std::to_string(options.tokens) +
                      " tokens");
  if (options.epoch < 0 || options.maxi_batches < 0)
    throw ConfigError("the epoch and the number of batches that are sorted together cannot be negative");
  if (sentences.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw ConfigError("a corpus of " + std::to_string(sentences.size()) + " sentences is larger than an int can count");

  constexpr std::uint32_t site = 0x62617463;  // this use of the seed and no other
  RandomStream random(RandomKey{options.seed, static_cast<std::uint32_t>(options.epoch), site});
  std::vector<int> order(sentences.size());
  std::iota(order.begin(), order.end(), 0);
  if (options.shuffle) random.shuffle(order);

  BatchPlan plan;
  const std::span<int> all(order);
  if (options.sentences > 0) {
    const auto step = static_cast<std::size_t>(options.sentences);
    for (std::size_t begin = 0; begin < all.size(); begin += step)
      plan.add(all.subspan(begin, std::min(step, all.size() - begin)));
    return plan;
  }

  const auto costs = [&](int sentence) { return sentences.costs(static_cast<std::size_t>(sentence)); };
  const auto budget = static_cast<std::size_t>(options.tokens);
  const auto maxi_budget = budget * static_cast<std::size_t>(std::max(options.maxi_batches, 1));
  std::vector<std::span<const int>> batches;
  for (std::size_t begin = 0; begin < all.size();) {
    auto maxi = options.maxi_batches == 0
                    ? all
                    : all.subspan(begin, sentences_within(sentences, all.subspan(begin), maxi_budget));
    begin += maxi.size();
    if (options.maxi_batches > 0)
      std::stable_sort(maxi.begin(), maxi.end(), [&](int a, int b) { return costs(a) < costs(b); });
    while (!maxi.empty()) {
      const auto count = sentences_within(sentences, maxi, budget);
      batches.push_back(maxi.first(count));
      maxi = maxi.subspan(count);
    }
  }
  if (options.shuffle) random.shuffle(batches);
  for (const auto batch : batches) plan.add(batch);
  return plan;
}

}  // namespace neural_attention::text
