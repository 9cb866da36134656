// KeyValueCache: the keys and values that one attention of a decoder keeps between steps, one slot a live sequence.
// It owns its memory; sequences that finish leave by `keep`, which moves views and copies nothing.
#pragma once

#include <span>
#include <vector>

#include "neural_attention/core/arena.hpp"

namespace neural_attention {

template <class B>
class KeyValueCache {
 public:
  /// Empty slots for `sequences` sequences of at most `capacity` tokens, width d.
  KeyValueCache(B& backend, int sequences, int capacity, int width) {
    allocate(backend, std::ptrdiff_t{sequences} * capacity, width);
    for (int s = 0; s < sequences; ++s)
      add(all_keys_.slice(s * capacity, capacity), all_values_.slice(s * capacity, capacity), 0);
  }

  /// Full slots over packed sequences: fill `all_keys()` and `all_values()`, [offsets.total(), d].
  KeyValueCache(B& backend, const Ragged& offsets, int width) {
    allocate(backend, offsets.total(), width);
    for (int s = 0; s < offsets.sequences(); ++s)
      add(all_keys_.slice(offsets.begin(s), offsets.length(s)), all_values_.slice(offsets.begin(s), offsets.length(s)),
          offsets.length(s));
  }

  Rows<B> all_keys() const { return all_keys_; }
  Rows<B> all_values() const { return all_values_; }
  std::span<const Rows<B>> keys() const { return keys_; }
  std::span<const Rows<B>> values() const { return values_; }
  std::span<const int> lengths() const { return lengths_; }

  /// Appends row i of k and v [n, d] to slot i.
  void append(B& backend, Rows<B> k, Rows<B> v) {
    for (int i = 0; i < k.rows; ++i) {
      backend.copy(k.slice(i, 1), keys_[i].slice(lengths_[i], 1));
      backend.copy(v.slice(i, 1), values_[i].slice(lengths_[i], 1));
      ++lengths_[i];
    }
  }

  /// Slot i becomes what slot `survivors[i]` was; survivors ascend.
  void keep(std::span<const int> survivors) {
    for (std::size_t i = 0; i < survivors.size(); ++i) {
      keys_[i] = keys_[survivors[i]];
      values_[i] = values_[survivors[i]];
      lengths_[i] = lengths_[survivors[i]];
    }
    keys_.resize(survivors.size());
    values_.resize(survivors.size());
    lengths_.resize(survivors.size());
  }

 private:
  void allocate(B& backend, std::ptrdiff_t rows, int width) {
    using Scalar = typename B::Scalar;
    const auto bytes = static_cast<std::size_t>(rows * width) * sizeof(Scalar);
    key_memory_ = backend.allocate(bytes);
    value_memory_ = backend.allocate(bytes);
    all_keys_ = {static_cast<Scalar*>(key_memory_.data()), static_cast<int>(rows), width};
    all_values_ = {static_cast<Scalar*>(value_memory_.data()), static_cast<int>(rows), width};
  }

  void add(Rows<B> keys, Rows<B> values, int length) {
    keys_.push_back(keys);
    values_.push_back(values);
    lengths_.push_back(length);
  }

  typename B::Memory key_memory_, value_memory_;
  Rows<B> all_keys_, all_values_;
  std::vector<Rows<B>> keys_, values_;
  std::vector<int> lengths_;
};

}  // namespace neural_attention
