// GenerativeModel: a model whose body decodes, so that a Generator can ask it. Its prompts are what it reads before it
// writes: sources for an encoder-decoder, the beginnings of texts for a decoder alone.
#pragma once

#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

#include "neural_attention/core/packed_tokens.hpp"
#include "neural_attention/core/sizes.hpp"
#include "neural_attention/models/checks.hpp"
#include "neural_attention/models/model.hpp"

namespace neural_attention {

template <class Derived, class ConfigType, class BodyType, class HeadType, class BatchType>
class GenerativeModel : public ModelBase<Derived, ConfigType, BodyType, HeadType, BatchType> {
  using Base = ModelBase<Derived, ConfigType, BodyType, HeadType, BatchType>;

 public:
  using Base::Base, Base::body, Base::head;
  using typename Base::B, typename Base::Body, typename Base::Saved;
  using Prompts = typename Body::Prompts;
  /// The decoder's state after the tokens so far. A row is a sequence or, of several of one sequence, a beam.
  using DecoderState = typename Body::State;

  /// Throws ShapeError if the prompts do not fit the model.
  void check_prompts(const Prompts& prompts) const { body().check_prompts(prompts); }

  /// The tokens that each result begins with. Decoders whose prompts are something else begin with `start`.
  PackedTokens histories(const Prompts& prompts, int start) const { return Body::histories(prompts, start); }

  /// Bytes that a row needs for each token of its caches.
  std::int64_t cache_bytes() const {
    return sizes::product(2 * sizeof(typename B::Scalar),
                          sizes::product(body().decoder_layers(), body().words().weight.cols));
  }

  /// Begins decoding, row i with prompt i, of which the decoder has read no token: at most `capacity` tokens follow, in
  /// at most `rows_per_sequence` rows a prompt. The prompts must fit.
  DecoderState begin_decoding(const Pass<B>& pass, const Prompts& prompts, int capacity, int rows_per_sequence,
                              Saved& saved) const;

  /// Reads sequence i of `runs` after what row i holds, all in one pass. Throws ShapeError for ids beyond the
  /// vocabulary and for more tokens than decoding was begun for or than the model has positions.
  void append(const Pass<B>& pass, const PackedTokens& runs, DecoderState& state) const;
  /// The same with the logits [rows, vocabulary] of what follows each run; none may be empty.
  void append(const Pass<B>& pass, const PackedTokens& runs, DecoderState& state, Rows<B> logits) const;

  /// The next token of each live row, and the logits [rows, vocabulary] of what follows it. Throws as append, and
  /// ShapeError unless there is one id for each row.
  void decode_next(const Pass<B>& pass, std::span<const int> ids, DecoderState& state, Rows<B> logits) const;

  /// logits [n, vocabulary] of hidden states [n, d].
  void logits(const Pass<B>& pass, Rows<B> hidden, Rows<B> logits) const;
};

template <class Derived, class Config, class Body, class Head, class Batch>
auto GenerativeModel<Derived, Config, Body, Head, Batch>::begin_decoding(const Pass<B>& pass, const Prompts& prompts,
                                                                         int capacity, int rows_per_sequence,
                                                                         Saved& saved) const -> DecoderState {
  return body().begin_decoding(pass, prompts, capacity, rows_per_sequence, saved.body);
}

template <class Derived, class Config, class Body, class Head, class Batch>
void GenerativeModel<Derived, Config, Body, Head, Batch>::decode_next(const Pass<B>& pass, std::span<const int> ids,
                                                                      DecoderState& state, Rows<B> logits) const {
  checks::ids("next", ids, body().words().weight.rows);
  checks::one_each("next token", std::ssize(ids), "live row", state.rows());
  const ArenaScope scope(pass.saved);
  this->logits(pass, body().decode(pass, ids, state.one_each(), state), logits);
}

template <class Derived, class Config, class Body, class Head, class Batch>
void GenerativeModel<Derived, Config, Body, Head, Batch>::logits(const Pass<B>& pass, Rows<B> hidden,
                                                                 Rows<B> logits) const {
  head().logits(pass, body().words(), hidden, logits);
}

template <class Derived, class Config, class Body, class Head, class Batch>
void GenerativeModel<Derived, Config, Body, Head, Batch>::append(const Pass<B>& pass, const PackedTokens& runs,
                                                                 DecoderState& state) const {
  checks::ids("run's", runs.ids(), body().words().weight.rows);
  const ArenaScope scope(pass.saved);
  body().decode(pass, runs.ids(), runs.offsets(), state);
}

template <class Derived, class Config, class Body, class Head, class Batch>
void GenerativeModel<Derived, Config, Body, Head, Batch>::append(const Pass<B>& pass, const PackedTokens& runs,
                                                                 DecoderState& state, Rows<B> logits) const {
  checks::ids("run's", runs.ids(), body().words().weight.rows);
  std::vector<int> last;
  for (int s = 0; s < runs.offsets().sequences(); ++s) {
    if (runs.offsets().length(s) == 0)
      throw ShapeError("run " + std::to_string(s) + " has no tokens, so nothing can be said of what follows it");
    last.push_back(runs.offsets().begin(s) + runs.offsets().length(s) - 1);
  }
  const ArenaScope scope(pass.saved);
  const auto hidden = body().decode(pass, runs.ids(), runs.offsets(), state);
  const auto newest = pass.saved.rows(static_cast<int>(last.size()), hidden.cols);
  pass.backend(ops::Gather<B>{.x = hidden, .rows = last, .y = newest});
  this->logits(pass, newest, logits);
}

}  // namespace neural_attention
