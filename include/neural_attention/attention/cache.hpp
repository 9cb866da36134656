// The keys and values that one attention of a decoder keeps between rounds, seen as one matrix for each live row of the
// batch. MemoryCache holds the keys and values of the encoder's output, which rows may share. KeyValueCache holds the
// keys and values of the tokens so far and grows; a row that goes on alone keeps its place, and only further children
// of one row copy its content.
#pragma once

#include <algorithm>
#include <cassert>
#include <span>
#include <vector>

#include "neural_attention/attention/attention_config.hpp"
#include "neural_attention/core/arena.hpp"

namespace neural_attention {

/// Owned keys and values, `rows` rows of each.
template <class B>
class KeyValueMemory {
 public:
  KeyValueMemory(B& backend, std::ptrdiff_t rows, KeyValueWidths widths)
      : key_memory_(backend.allocate(bytes(rows, widths.keys))),
        value_memory_(backend.allocate(bytes(rows, widths.values))),
        keys_(static_cast<Scalar*>(key_memory_.data()), static_cast<int>(rows), widths.keys),
        values_(static_cast<Scalar*>(value_memory_.data()), static_cast<int>(rows), widths.values) {}

  Rows<B> keys() const { return keys_; }
  Rows<B> values() const { return values_; }
  KeyValueWidths widths() const { return {keys_.cols, values_.cols}; }

 private:
  using Scalar = typename B::Scalar;
  static std::size_t bytes(std::ptrdiff_t rows, int width) {
    return static_cast<std::size_t>(rows * width) * sizeof(Scalar);
  }

  typename B::Memory key_memory_, value_memory_;
  Rows<B> keys_, values_;
};

/// Collects copies, to make them all at once.
template <class B>
class PendingCopies {
 public:
  void add(Rows<B> x, Rows<B> y) {
    from_.push_back(x);
    to_.push_back(y);
  }
  /// Makes all copies that were added, and forgets them.
  void run(B& backend) {
    backend(ops::CopyPairs<B>{.x = from_, .y = to_});
    from_.clear();
    to_.clear();
  }

 private:
  std::vector<Rows<B>> from_, to_;
};

/// What each row of the batch attends to: the first lengths[i] rows of keys[i] and values[i].
template <class B>
struct KeyValueViews {
  std::vector<Rows<B>> keys, values;
  std::vector<int> lengths;

  /// The tokens whose keys and values the rows hold: those of another sequence, or the runs' own and what precedes
  /// them.
  enum class KeysOf { Memory, OwnTokens };

  /// What the tokens of `runs` attend to, run i being the newest tokens of row i of `rows`. Of its own run, a
  /// token sees the tokens up to itself only.
  void assign(const KeyValueViews& rows, const Ragged& runs, KeysOf held) {
    keys.clear();
    values.clear();
    lengths.clear();
    for (int i = 0; i < runs.sequences(); ++i)
      for (int left = runs.length(i) - 1; left >= 0; --left) {
        keys.push_back(rows.keys[static_cast<std::size_t>(i)]);
        values.push_back(rows.values[static_cast<std::size_t>(i)]);
        lengths.push_back(rows.lengths[static_cast<std::size_t>(i)] - (held == KeysOf::OwnTokens ? left : 0));
      }
  }
};

/// Whether each row has one new token, as in most rounds of decoding.
inline bool one_each(const Ragged& runs) { return runs.longest() <= 1 && runs.total() == runs.sequences(); }

/// Keys and values of packed sequences, computed once. Row i begins as sequence i.
template <class B>
class MemoryCache {
 public:
  MemoryCache(B& backend, const Ragged& offsets, KeyValueWidths widths) : memory_(backend, offsets.total(), widths) {
    for (int s = 0; s < offsets.sequences(); ++s) {
      views_.keys.push_back(memory_.keys().slice(offsets.begin(s), offsets.length(s)));
      views_.values.push_back(memory_.values().slice(offsets.begin(s), offsets.length(s)));
      views_.lengths.push_back(offsets.length(s));
    }
  }

  /// offsets.total() rows, to be filled.
  const KeyValueMemory<B>& memory() const { return memory_; }
  const KeyValueViews<B>& views() const { return views_; }
  /// The same for each token of `runs`, run i being tokens of row i; valid until the next call.
  const KeyValueViews<B>& views(const Ragged& runs) {
    if (one_each(runs)) return views_;
    of_tokens_.assign(views_, runs, KeyValueViews<B>::KeysOf::Memory);
    return of_tokens_;
  }

  /// Row i sees what row parents[i] saw. Nothing is copied.
  void reorder(B&, std::span<const int> parents) {
    const auto pick = [&](auto& items, auto& next) {
      next.clear();
      for (const int parent : parents) next.push_back(items[static_cast<std::size_t>(parent)]);
      items.swap(next);
    };
    pick(views_.keys, next_.keys);
    pick(views_.values, next_.values);
    pick(views_.lengths, next_.lengths);
  }

 private:
  KeyValueMemory<B> memory_;
  KeyValueViews<B> views_, next_, of_tokens_;
};

/// Keys and values of the tokens so far. It has room for `slots` rows at once, and begins with `rows` empty ones.
template <class B>
class KeyValueCache {
 public:
  /// At most `limit` tokens follow; memory for them is allocated as they come.
  KeyValueCache(B& backend, int rows, int slots, int limit, KeyValueWidths widths)
      : slots_(slots),
        limit_(std::max(limit, 1)),
        capacity_(std::min(limit_, first_capacity)),
        memory_(backend, std::ptrdiff_t{slots} * capacity_, widths) {
    assert(rows <= slots);
    for (int row = 0; row < rows; ++row) slot_.push_back(row);
    views_.lengths.assign(static_cast<std::size_t>(rows), 0);
    look();
  }

  const KeyValueViews<B>& views() const { return views_; }
  /// The same for each token of `runs`, run i being the newest tokens of row i; valid until the next call.
  const KeyValueViews<B>& views(const Ragged& runs) {
    if (one_each(runs)) return views_;
    of_tokens_.assign(views_, runs, KeyValueViews<B>::KeysOf::OwnTokens);
    return of_tokens_;
  }
  /// Whether no row holds a token.
  bool empty() const {
    return std::all_of(views_.lengths.begin(), views_.lengths.end(), [](int length) { return length == 0; });
  }

  /// Appends sequence i of k and v, runs.total() rows, to row i.
  void append(B& backend, Rows<B> k, Rows<B> v, const Ragged& runs) {
    int needed = 0;
    for (int i = 0; i < runs.sequences(); ++i) needed = std::max(needed, views_.lengths[i] + runs.length(i));
    if (needed > capacity_) grow(backend, needed);
    for (int i = 0; i < runs.sequences(); ++i) {
      const int count = runs.length(i);
      if (count == 0) continue;
      int& length = views_.lengths[i];
      copies_.add(k.slice(runs.begin(i), count), views_.keys[i].slice(length, count));
      copies_.add(v.slice(runs.begin(i), count), views_.values[i].slice(length, count));
      length += count;
    }
    copies_.run(backend);
  }

  /// Row i continues row parents[i]; rows without children leave. At most `slots` rows.
  void reorder(B& backend, std::span<const int> parents) {
    assert(std::ssize(parents) <= slots_);
    constexpr int none = -1;
    taken_.assign(static_cast<std::size_t>(slots_), false);
    next_slot_.assign(parents.size(), none);
    next_lengths_.clear();
    for (std::size_t i = 0; i < parents.size(); ++i) {
      const auto parent = static_cast<std::size_t>(parents[i]);
      next_lengths_.push_back(views_.lengths[parent]);
      if (taken_[static_cast<std::size_t>(slot_[parent])]) continue;
      next_slot_[i] = slot_[parent];
      taken_[static_cast<std::size_t>(slot_[parent])] = true;
    }
    int free = 0;
    for (std::size_t i = 0; i < parents.size(); ++i) {
      if (next_slot_[i] != none) continue;
      while (taken_[static_cast<std::size_t>(free)]) ++free;
      next_slot_[i] = free;
      taken_[static_cast<std::size_t>(free)] = true;
      const int from = slot_[static_cast<std::size_t>(parents[i])], length = next_lengths_[i];
      for (const auto all : {memory_.keys(), memory_.values()})
        copies_.add(in_slot(all, from).slice(0, length), in_slot(all, free).slice(0, length));
    }
    copies_.run(backend);  // none reads what another writes: the slot of a parent is taken, and not free
    slot_.swap(next_slot_);
    views_.lengths.swap(next_lengths_);
    look();
  }

 private:
  static constexpr int first_capacity = 64;

  Rows<B> in_slot(Rows<B> all, int slot) const { return all.slice(slot * capacity_, capacity_); }

  void look() {
    views_.keys.clear();
    views_.values.clear();
    for (const int slot : slot_) {
      views_.keys.push_back(in_slot(memory_.keys(), slot));
      views_.values.push_back(in_slot(memory_.values(), slot));
    }
  }

  void grow(B& backend, int needed) {
    assert(needed <= limit_);
    const auto before = views_;
    capacity_ = std::max(needed, std::min(limit_, 2 * capacity_));
    KeyValueMemory<B> larger(backend, std::ptrdiff_t{slots_} * capacity_, memory_.widths());
    std::swap(memory_, larger);
    look();
    for (std::size_t i = 0; i < slot_.size(); ++i) {
      const int length = views_.lengths[i];
      if (length == 0) continue;
      copies_.add(before.keys[i].slice(0, length), views_.keys[i].slice(0, length));
      copies_.add(before.values[i].slice(0, length), views_.values[i].slice(0, length));
    }
    copies_.run(backend);
  }

  int slots_, limit_, capacity_;
  KeyValueMemory<B> memory_;
  KeyValueViews<B> views_, of_tokens_;
  PendingCopies<B> copies_;
  std::vector<int> slot_, next_slot_, next_lengths_;
  std::vector<bool> taken_;
};

}  // namespace neural_attention
