// Sequences of token ids, packed one after another without padding, on the host.
#pragma once

#include <iterator>
#include <span>
#include <vector>

#include "neural_attention/core/rows.hpp"
#include "neural_attention/core/sizes.hpp"

namespace neural_attention {

/// Token ids of packed sequences, the position of each token in its sequence, and where all of them lie in their
/// optimizer step.
class PackedTokens {
 public:
  /// Also begins at the step's start again.
  void clear() {
    place_ = {};
    ids_.clear();
    positions_.clear();
    offsets_.clear();
  }
  /// Throws ConfigError, and adds nothing, if there would be more tokens than an int counts.
  void push(std::span<const int> sequence) {
    offsets_.push(std::ssize(sequence));
    ids_.insert(ids_.end(), sequence.begin(), sequence.end());
    for (int p = 0; p < static_cast<int>(sequence.size()); ++p) positions_.push_back(p);
  }

  std::span<const int> ids() const { return ids_; }
  std::span<const int> sequence(int s) const {
    return ids().subspan(static_cast<std::size_t>(offsets_.begin(s)), static_cast<std::size_t>(offsets_.length(s)));
  }
  std::span<const int> positions() const { return positions_; }
  const Ragged& offsets() const { return offsets_; }
  int total() const { return offsets_.total(); }

  const Place& place() const { return place_; }
  void begin_at(const Place& place) { place_ = place; }
  /// Begins where `before` ends, if both are parts of one optimizer step. Throws ConfigError if there would be more
  /// tokens in front of it than an int counts.
  void follow(const PackedTokens& before) {
    const auto rows = sizes::sum(before.place_.first_row, before.total());
    const auto sequences = sizes::sum(before.place_.first_sequence, before.offsets_.sequences());
    place_ = {sizes::checked("a step", rows, "tokens", sizeof(int)),
              sizes::checked("a step", sequences, "sequences", sizeof(int))};
  }

 private:
  std::vector<int> ids_;
  std::vector<int> positions_;
  Ragged offsets_;
  Place place_;
};

}  // namespace neural_attention
