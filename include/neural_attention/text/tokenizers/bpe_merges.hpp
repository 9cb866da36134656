// Applies the merges of byte pair encoding to one word: of all neighbours that a merge could join, the earliest merge
// goes first, at its leftmost place, until none is left. With a heap of candidates, this takes n log n in the length of
// the word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <span>
#include <vector>

#include "neural_attention/core/language.hpp"

namespace neural_attention::text {

using BpePair = std::uint64_t;

/// Two ids, not negative, as one number; pairs are ordered by the left one, then by the right one.
constexpr BpePair bpe_pair(int left, int right) {
  return static_cast<BpePair>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

/// The ids `left` and `right`, side by side, become `id`.
struct BpeMerge {
  int left = 0, right = 0, id = 0;

  BpePair pair() const { return bpe_pair(left, right); }
  bool operator==(const BpeMerge&) const = default;
};

/// Merges in their order of application, found by what they join: a hash table with open addressing.
class BpeMergeTable {
 public:
  /// No two of `merges` may join the same ids.
  explicit BpeMergeTable(std::span<const BpeMerge> merges) {
    while (slots_.size() < 2 * merges.size()) slots_.resize(2 * slots_.size());
    ids_.reserve(merges.size());
    for (const auto& merge : merges) {
      auto at = start(merge.pair());
      while (slots_[at].rank >= 0) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = {merge.pair(), static_cast<int>(ids_.size())};
      ids_.push_back(merge.id);
    }
  }

  /// The rank of the merge that joins these ids, -1 if there is none.
  int rank(int left, int right) const {
    const auto pair = bpe_pair(left, right);
    for (auto at = start(pair); slots_[at].rank >= 0; at = (at + 1) & (slots_.size() - 1))
      if (slots_[at].pair == pair) return slots_[at].rank;
    return -1;
  }

  /// The id that merge `rank` makes.
  int id(int rank) const { return ids_[static_cast<std::size_t>(rank)]; }

 private:
  struct Slot {
    BpePair pair = 0;
    int rank = -1;
  };

  std::size_t start(BpePair pair) const {
    return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15u) >> 20) & (slots_.size() - 1);
  }

  std::vector<Slot> slots_ = std::vector<Slot>(16);  // a power of two, at most half full
  std::vector<int> ids_;
};

/// Merges words, one after another; keeps its memory between them and serves one thread.
class BpeMerger {
 public:
  explicit BpeMerger(const BpeMergeTable& table) : table_(table) {}

  /// Replaces the ids of a word's symbols by its pieces' ids.
  void operator()(std::vector<int>& ids) {
    if (ids.size() < 2) return;
    symbols_.resize(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      symbols_[i] = {ids[i], -1, i - 1, i + 1};
      if (i > 0) consider(i - 1, ids[i - 1], ids[i]);
    }
    while (!heap_.empty()) {
      const auto rank = static_cast<int>(heap_.top() >> 32);
      const auto at = static_cast<std::size_t>(heap_.top() & 0xFFFFFFFFu);
      heap_.pop();
      auto& left = symbols_[at];
      if (left.rank != rank) continue;  // one of the two has been joined with another neighbour since
      auto& right = symbols_[left.next];
      left.id = table_.id(rank);
      left.rank = -1;
      left.next = right.next;
      right.rank = gone;
      if (left.next < ids.size()) {
        symbols_[left.next].previous = at;
        consider(at, left.id, symbols_[left.next].id);
      }
      if (at > 0) consider(left.previous, symbols_[left.previous].id, left.id);
    }
    std::size_t count = 0;
    for (const auto& symbol : symbols_)
      if (symbol.rank != gone) ids[count++] = symbol.id;
    ids.resize(count);
  }

 private:
  static constexpr int gone = -2;

  struct Symbol {
    int id;
    int rank;  // of the merge with the next symbol, -1 if there is none
    std::size_t previous, next;
  };

  void consider(std::size_t at, int left, int right) {
    const int rank = table_.rank(left, right);
    symbols_[at].rank = rank;
    if (rank >= 0) heap_.push(static_cast<std::uint64_t>(rank) << 32 | at);
  }

  const BpeMergeTable& table_;
  std::vector<Symbol> symbols_;
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> heap_;  // rank, place
};

}  // namespace neural_attention::text
