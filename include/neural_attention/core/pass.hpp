// Pass: what forward and backward of one batch share: the backend, the two stacks, and the source of random numbers.
// Nothing writes to it. `saved` holds what forward keeps for backward; `scratch` holds gradients and temporaries. With
// a single stack, rewinding layer by layer would destroy the gradients that the next layer needs.
#pragma once

#include <cstdint>

#include "neural_attention/core/arena.hpp"
#include "neural_attention/core/gradient_watch.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/parameters.hpp"

namespace neural_attention {

template <class B>
struct Pass {
  B& backend;
  Arena<B>& saved;
  Arena<B>& scratch;
  const bool train = false;  ///< dropout is on and `saved` must survive until backward
  const std::uint64_t seed = 0;
  const std::uint32_t step = 0;          ///< of the optimizer
  const Place place = {};                ///< of the batch in its step
  GradientWatch* const watch = nullptr;  ///< hears of complete gradients, in the last pass of a step

  /// The same pass over sequences at another place of the step. Forward, backward and recomputation of one part of a
  /// model must use the same place.
  Pass at(const Place& other) const { return {backend, saved, scratch, train, seed, step, other, watch}; }

  Pass watched_by(GradientWatch* listener) const {
    return {backend, saved, scratch, train, seed, step, place, listener};
  }

  /// The same pass, which keeps on the scratch stack: for a forward that runs again in backward, so that its results
  /// need no memory in between.
  Pass on_scratch() const { return {backend, scratch, scratch, train, seed, step, place, watch}; }

  /// The mask of a dropout with `rate` at `site`; no mask outside training.
  DropoutMask mask(double rate, RandomSite site) const {
    return {train ? rate : 0.0, {seed, step, site.id}, place.first_row};
  }
  DropoutMask attention_mask(double rate, RandomSite site) const {
    return {train ? rate : 0.0, {seed, step, site.id}, place.first_sequence};
  }
};

/// The two stacks, which live from pass to pass.
template <class B>
class PassMemory {
  static_assert(sizeof(CheckBackend<B>));

 public:
  explicit PassMemory(B& backend) : backend_(&backend), saved_(backend), scratch_(backend) {}

  /// Each of these empties both stacks and begins a pass.
  Pass<B> begin_inference() { return begin(false, 0, 0); }
  Pass<B> begin_training(std::uint64_t seed = 0, std::uint32_t step = 0) { return begin(true, seed, step); }

  std::size_t capacity() const { return saved_.capacity() + scratch_.capacity(); }

 private:
  Pass<B> begin(bool train, std::uint64_t seed, std::uint32_t step) {
    saved_.reset();
    scratch_.reset();
    return {*backend_, saved_, scratch_, train, seed, step};
  }

  B* backend_;
  Arena<B> saved_;
  Arena<B> scratch_;
};

/// Where backward writes a gradient: it adds to `dx` if there is one, otherwise it writes new rows of the scratch
/// stack.
template <class B>
struct GradientTarget {
  GradientTarget(const Pass<B>& pass, Rows<B> dx, int row_count, int col_count)
      : into(dx ? Into::Add : Into::Write), rows(dx ? dx : pass.scratch.rows(row_count, col_count)) {}

  Into into;
  Rows<B> rows;
};

/// Ends the backward pass of a composite module: drops the temporaries above `mark`. If no dx was given, the result is
/// new, and moves down to the mark.
template <class B>
Rows<B> settle(const Pass<B>& pass, typename Arena<B>::Mark mark, Rows<B> dx, Rows<B> result) {
  if (!dx) return pass.scratch.rewind_keeping(mark, result);
  pass.scratch.rewind(mark);
  return result;
}

}  // namespace neural_attention
