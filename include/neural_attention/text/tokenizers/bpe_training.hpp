// Learns byte pair encoding: the first symbols are the 256 bytes, and the most frequent pair of neighbours becomes a
// new symbol, again and again. Words are weighted by their counts, and each merge updates the counts of pairs that it
// changes. The result equals Hugging Face's BpeTrainer 0.14, merge by merge: among equally frequent pairs, the one with
// the smaller ids comes first.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "neural_attention/text/tokenizers/bpe_merges.hpp"
#include "neural_attention/text/tokenizers/byte_level.hpp"

namespace neural_attention::text {

/// Lets callers look up string views in a hash map with std::string keys.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};
template <class Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

/// How often each word occurs.
using WordCounts = StringMap<std::int64_t>;

inline void count_word(WordCounts& counts, std::string_view word) {
  const auto found = counts.find(word);
  if (found == counts.end())
    counts.emplace(word, 1);
  else
    ++found->second;
}

struct LearnedBpe {
  std::vector<std::string> pieces;  ///< as bytes: the 256 of one byte in `bytes_in_spelling_order`, then the new ones
  std::vector<BpeMerge> merges;     ///< of places in `pieces`
};

namespace detail {

class BpeLearner {
 public:
  BpeLearner(const WordCounts& counts, std::size_t size, std::int64_t min_count) {
    std::array<int, 256> symbols{};
    for (const auto byte : bytes_in_spelling_order()) {
      symbols[byte] = static_cast<int>(learned_.pieces.size());
      learned_.pieces.emplace_back(1, static_cast<char>(byte));
    }
    for (const auto& [word, count] : counts) {
      if (word.size() < 2) continue;
      const auto place = words_.size();
      auto& ids = words_.emplace_back(Word{{}, count}).ids;
      ids.reserve(word.size());
      for (const char byte : word) ids.push_back(symbols[static_cast<unsigned char>(byte)]);
      for (std::size_t i = 0; i + 1 < ids.size(); ++i) change(bpe_pair(ids[i], ids[i + 1]), 1, place);
    }
    queue_new_pairs();
    learn(size, min_count);
  }

  LearnedBpe take() { return std::move(learned_); }

 private:
  struct Word {
    std::vector<int> ids;
    std::int64_t count;
  };

  /// A pair to merge in `words`. Its count may be out of date. A pair appears when the newer of its two pieces is made,
  /// and never again, so it has one candidate.
  struct Candidate {
    std::int64_t count;
    BpePair pair;
    std::vector<std::size_t> words;

    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  /// `times` more of `pair` (fewer if negative) in word `place`.
  void change(BpePair pair, int times, std::size_t place) {
    counts_[pair] += times * words_[place].count;
    if (times < 0) return;
    auto& places = new_places_[pair];
    if (places.empty() || places.back() != place) places.push_back(place);
  }

  void queue_new_pairs() {
    for (auto& [pair, places] : new_places_) {
      const auto count = counts_[pair];
      if (count > 0) push({count, pair, std::move(places)});
    }
    new_places_.clear();
  }

  void push(Candidate candidate) {
    queue_.push_back(std::move(candidate));
    std::push_heap(queue_.begin(), queue_.end());
  }
  Candidate pop() {
    std::pop_heap(queue_.begin(), queue_.end());
    auto top = std::move(queue_.back());
    queue_.pop_back();
    return top;
  }

  void learn(std::size_t size, std::int64_t min_count) {
    while (learned_.pieces.size() < size && !queue_.empty()) {
      auto best = pop();
      if (const auto count = counts_[best.pair]; count != best.count) {
        best.count = count;
        push(std::move(best));
        continue;
      }
      if (best.count < std::max<std::int64_t>(min_count, 1)) break;
      // These bytes were no piece before: the same bytes between the same borders are always cut in the same way.
      const BpeMerge merge{static_cast<int>(best.pair >> 32), static_cast<int>(best.pair & 0xFFFFFFFFu),
                           static_cast<int>(learned_.pieces.size())};
      learned_.pieces.push_back(piece(merge.left) + piece(merge.right));
      learned_.merges.push_back(merge);
      for (const auto place : best.words) apply(merge, place);
      queue_new_pairs();
    }
  }

  const std::string& piece(int id) const { return learned_.pieces[static_cast<std::size_t>(id)]; }

  /// Merges one word from the left. The count of the merged pair itself stays: it is not looked at again.
  void apply(const BpeMerge& merge, std::size_t place) {
    auto& ids = words_[place].ids;
    std::size_t to = 0;
    for (std::size_t from = 0; from < ids.size(); ++to) {
      if (from + 1 == ids.size() || ids[from] != merge.left || ids[from + 1] != merge.right) {
        ids[to] = ids[from++];
        continue;
      }
      if (to > 0) {
        change(bpe_pair(ids[to - 1], merge.left), -1, place);
        change(bpe_pair(ids[to - 1], merge.id), 1, place);
      }
      from += 2;
      if (from < ids.size()) {
        change(bpe_pair(merge.right, ids[from]), -1, place);
        change(bpe_pair(merge.id, ids[from]), 1, place);
      }
      ids[to] = merge.id;
    }
    ids.resize(to);
  }

  LearnedBpe learned_;
  std::vector<Word> words_;
  std::unordered_map<BpePair, std::int64_t> counts_;
  std::unordered_map<BpePair, std::vector<std::size_t>> new_places_;  // words where pairs appeared in the last merge
  std::vector<Candidate> queue_;                                      // a heap
};

}  // namespace detail

/// Learns until there are `size` pieces (including the 256 bytes) or no pair occurs at least `min_count` times. Depends
/// only on the arguments, not on the order of the words.
inline LearnedBpe learn_bpe(const WordCounts& counts, std::size_t size, std::int64_t min_count) {
  return detail::BpeLearner(counts, size, min_count).take();
}

}  // namespace neural_attention::text
