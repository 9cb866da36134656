// What a decoder remembers of the tokens so far, and the next ones through its layers: one token of each live row, or
// runs of any lengths, as a prompt is. A row is a sequence or, of several of one sequence, a beam.
#pragma once

#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/models/layers.hpp"

namespace neural_attention {

/// `Layers` is a LayerStack.
template <class B, class Layers>
class DecoderState {
 public:
  using Caches = typename Layers::Caches;

  /// `rows` live rows, each with room for `capacity` tokens.
  DecoderState(Caches caches, int rows, int capacity)
      : caches_(std::move(caches)), capacity_(capacity), lengths_(static_cast<std::size_t>(rows), 0) {}

  int rows() const { return static_cast<int>(lengths_.size()); }
  /// Tokens of a row so far.
  int length(int row) const { return lengths_[static_cast<std::size_t>(row)]; }
  Caches& caches() { return caches_; }

  /// Row i becomes what row parents[i] was; rows that are no one's parent leave. There may be as many rows as decoding
  /// was begun for.
  void reorder(B& backend, std::span<const int> parents) {
    caches_.reorder(backend, parents);
    next_lengths_.clear();
    for (const int parent : parents) next_lengths_.push_back(length(parent));
    lengths_.swap(next_lengths_);
  }

  /// Runs of one token, one a row.
  const Ragged& one_each() {
    ones_.clear();
    for (int row = 0; row < rows(); ++row) ones_.push(1);
    return ones_;
  }

  /// Row i has run i of tokens more: the positions of these. Throws ShapeError if there are not as many runs as rows
  /// or a row would have more tokens than it has room for.
  std::span<const int> extend(const Ragged& runs) {
    if (runs.sequences() != rows())
      throw ShapeError(std::to_string(runs.sequences()) + " runs of tokens cannot follow " + std::to_string(rows()) +
                       " rows: each row needs one");
    for (int row = 0; row < rows(); ++row)
      if (runs.length(row) > capacity_ - length(row))
        throw ShapeError("a run of " + std::to_string(runs.length(row)) + " tokens after " +
                         std::to_string(length(row)) +
                         " is longer than decoding was begun for: " + std::to_string(capacity_) + " tokens");
    positions_.resize(static_cast<std::size_t>(runs.total()));
    for (int row = 0; row < rows(); ++row) {
      const auto run =
          std::span(positions_)
              .subspan(static_cast<std::size_t>(runs.begin(row)), static_cast<std::size_t>(runs.length(row)));
      std::iota(run.begin(), run.end(), length(row));
      lengths_[static_cast<std::size_t>(row)] += runs.length(row);
    }
    return positions_;
  }

 private:
  Caches caches_;
  int capacity_;
  std::vector<int> lengths_, next_lengths_, positions_;
  Ragged ones_;
};

/// The output of the layers [runs.total(), d] for the next tokens of each row: run i of `ids` follows row i. Throws as
/// DecoderState::extend.
template <class B, class Input, class Layers>
Rows<B> decode_runs(const Pass<B>& pass, const Input& input, const Layers& layers, std::span<const int> ids,
                    const Ragged& runs, DecoderState<B, Layers>& state) {
  return layers.decode(pass, input.next(pass, ids, state.extend(runs)), state.caches(), runs);
}

}  // namespace neural_attention
