// StepShare: the part of a step that falls to one rank. The batches of a step are one global batch; it is cut between
// sequences into pieces of about equally many tokens, which keep their places in the step. So all ranks together draw
// the random numbers that one process would.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "neural_attention/core/causal_batch.hpp"
#include "neural_attention/core/masked_batch.hpp"
#include "neural_attention/core/packed_tokens.hpp"
#include "neural_attention/core/rows.hpp"
#include "neural_attention/core/translation_batch.hpp"
#include "neural_attention/models/checks.hpp"

namespace neural_attention {

/// What sharing needs of a batch, found by the batch's type: how many sequences it has, what one costs, in tokens, and
/// a copy of one of them after the sequences of `part`. If it is the first, `part` begins at its place in the step.
inline int sequences_of(const PackedTokens& batch) { return batch.offsets().sequences(); }
inline int sequences_of(const EncoderBatch& batch) { return batch.sequences(); }
inline int sequences_of(const TranslationBatch& batch) { return batch.sentences(); }

inline long tokens_of(const PackedTokens& batch, int s) { return batch.offsets().length(s); }
inline long tokens_of(const EncoderBatch& batch, int s) { return batch.offsets().length(s); }
inline long tokens_of(const TranslationBatch& batch, int s) {
  return batch.source.offsets().length(s) + batch.decoder_input.offsets().length(s);
}

/// Throws ShapeError if the lists of a batch do not belong together, so that it cannot be cut. Models say the same of
/// batches that are not cut. A batch of your own may do without.
inline void check_lists(const CausalBatch& batch) {
  checks::one_each("label", std::ssize(batch.labels), "token", batch.total());
}
inline void check_lists(const MaskedBatch& batch) {
  const int tokens = batch.tokens.total();
  checks::one_each("token type", std::ssize(batch.token_types), "token", tokens);
  checks::one_each("position row", std::ssize(batch.position_rows), "token", tokens);
  checks::one_each("label", std::ssize(batch.labels), "masked token", std::ssize(batch.masked_rows));
  checks::masked_rows(batch.masked_rows, tokens);
}
inline void check_lists(const TranslationBatch& batch) {
  checks::one_each("target sentence", batch.decoder_input.offsets().sequences(), "source sentence", batch.sentences());
  checks::one_each("label", std::ssize(batch.labels), "token", batch.decoder_input.total());
}

namespace share_detail {

/// The numbers of sequence `s` in a list that has one for each token.
inline std::span<const int> numbers_of(const std::vector<int>& list, const Ragged& offsets, int s) {
  return std::span(list).subspan(static_cast<std::size_t>(offsets.begin(s)),
                                 static_cast<std::size_t>(offsets.length(s)));
}

/// Makes these the last numbers of a list.
inline void end_with(std::vector<int>& list, std::span<const int> numbers) {
  std::ranges::copy(numbers, list.end() - std::ssize(numbers));
}

inline Place place_of(const PackedTokens& tokens, int s) {
  return {tokens.place().first_row + tokens.offsets().begin(s), tokens.place().first_sequence + s};
}

}  // namespace share_detail

inline void take_sequence(const CausalBatch& whole, int s, CausalBatch& part) {
  if (sequences_of(part) == 0) part.begin_at(share_detail::place_of(whole, s));
  const auto labels = share_detail::numbers_of(whole.labels, whole.offsets(), s);
  part.labels.insert(part.labels.end(), labels.begin(), labels.end());
  static_cast<PackedTokens&>(part).push(whole.sequence(s));
}

inline void take_sequence(const MaskedBatch& whole, int s, MaskedBatch& part) {
  if (sequences_of(part) == 0) part.tokens.begin_at(share_detail::place_of(whole.tokens, s));
  const int begin = whole.offsets().begin(s), end = begin + whole.offsets().length(s);
  const int move = part.tokens.total() - begin;
  const auto& rows = whole.masked_rows;
  for (auto row = std::lower_bound(rows.begin(), rows.end(), begin); row != rows.end() && *row < end; ++row) {
    part.masked_rows.push_back(*row + move);
    part.labels.push_back(whole.labels[static_cast<std::size_t>(row - rows.begin())]);
  }
  static_cast<EncoderBatch&>(part).push(whole.tokens.sequence(s));
  share_detail::end_with(part.position_rows, share_detail::numbers_of(whole.position_rows, whole.offsets(), s));
  share_detail::end_with(part.token_types, share_detail::numbers_of(whole.token_types, whole.offsets(), s));
}

inline void take_sequence(const TranslationBatch& whole, int s, TranslationBatch& part) {
  if (sequences_of(part) == 0) {
    part.source.begin_at(share_detail::place_of(whole.source, s));
    part.decoder_input.begin_at(share_detail::place_of(whole.decoder_input, s));
  }
  const auto labels = share_detail::numbers_of(whole.labels, whole.decoder_input.offsets(), s);
  part.source.push(whole.source.sequence(s));
  part.decoder_input.push(whole.decoder_input.sequence(s));
  part.labels.insert(part.labels.end(), labels.begin(), labels.end());
}

/// A batch that can be cut: see above.
template <class Batch>
concept Shareable = requires(const Batch& whole, Batch& part) {
  { sequences_of(whole) } -> std::same_as<int>;
  { tokens_of(whole, 0) } -> std::same_as<long>;
  take_sequence(whole, 0, part);
};

template <class Batch>
class StepShare {
  static_assert(Shareable<Batch>,
                "batches that several ranks share need sequences_of(batch), tokens_of(batch, s) and "
                "take_sequence(whole, s, part), as in train/step_share.hpp");

 public:
  /// `empty` is a batch without sequences.
  explicit StepShare(Batch empty) : empty_(std::move(empty)) {}

  /// The parts of a step, of all its `parts`, that rank `rank` of `size` computes. There may be none; each has at least
  /// one label, and no more than are needed for each to have about as many tokens as one of `parts` at most. They are
  /// valid until the next call. Throws as check_lists does.
  std::span<Batch> of(std::span<const Batch> parts, int rank, int size) {
    if constexpr (requires(const Batch& part) { check_lists(part); })
      for (const auto& part : parts) check_lists(part);
    const int each = (static_cast<int>(parts.size()) + size - 1) / size;
    while (std::ssize(mine_) < each) mine_.push_back(empty_);
    for (auto& part : mine_) part.clear();
    long total = 0;
    for (const auto& part : parts)
      for (int s = 0; s < sequences_of(part); ++s) total += tokens_of(part, s);
    long before = 0;
    for (const auto& part : parts)
      for (int s = 0; s < sequences_of(part); ++s) {
        const long tokens = tokens_of(part, s);
        const auto piece = piece_of(2 * before + tokens, 2 * total, each * size) - each * rank;
        if (piece >= 0 && piece < each) take_sequence(part, s, mine_[static_cast<std::size_t>(piece)]);
        before += tokens;
      }
    std::size_t used = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(each); ++i)
      if (!mine_[i].labels.empty()) std::swap(mine_[i], mine_[used++]);
    return std::span(mine_).first(used);
  }

 private:
  /// Of `pieces`, the one in which middle/total lies.
  static int piece_of(long middle, long total, int pieces) {
    if (total == 0) return 0;
    return static_cast<int>(std::min<long>(pieces - 1, middle * pieces / total));
  }

  Batch empty_;
  std::vector<Batch> mine_;
};

}  // namespace neural_attention
