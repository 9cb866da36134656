// What a forward and backward pass of one batch share: the backend, the two stacks, and where random numbers come from.
// `saved` holds what forward keeps for backward; `scratch` holds gradients and temporaries. With a single stack,
// rewinding layer by layer would destroy the gradients that the next layer needs.
#pragma once

#include <cstdint>

#include "neural_attention/core/arena.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/parameters.hpp"

namespace neural_attention {

template <class B>
struct Step {
  B& backend;
  Arena<B>& saved;
  Arena<B>& scratch;
  bool train = false;  ///< dropout is on and `saved` must survive until backward
  std::uint64_t seed = 0;
  std::uint32_t number = 0;  ///< optimizer step
  int first_row = 0;         ///< global index of this batch's first token row: parts of one step draw as one batch
  int first_sequence = 0;

  /// The same pass for a part of a model whose rows and sequences begin elsewhere in the optimizer step, such as the
  /// decoder: forward, backward and recomputation of that part must all see it.
  Step at(int row, int sequence) const {
    Step part = *this;
    part.first_row = row;
    part.first_sequence = sequence;
    return part;
  }

  /// The mask of a dropout with `rate` at `site`; none outside training.
  DropoutMask mask(double rate, RandomSite site) const {
    return {train ? rate : 0.0, {seed, number, site.id}, first_row};
  }
  DropoutMask attention_mask(double rate, RandomSite site) const {
    return {train ? rate : 0.0, {seed, number, site.id}, first_sequence};
  }
};

/// The two stacks, kept from step to step.
template <class B>
class StepMemory {
 public:
  explicit StepMemory(B& backend) : backend_(&backend), saved_(backend), scratch_(backend) {}

  /// Empties both stacks and begins a pass.
  Step<B> begin(bool train, std::uint64_t seed = 0, std::uint32_t number = 0) {
    saved_.reset();
    scratch_.reset();
    return {*backend_, saved_, scratch_, train, seed, number};
  }

  std::size_t capacity() const { return saved_.capacity() + scratch_.capacity(); }

 private:
  B* backend_;
  Arena<B> saved_;
  Arena<B> scratch_;
};

/// Where backward writes a gradient: into `dx` (adding) or, without one, into new rows of the scratch stack (writing).
template <class B>
struct GradientTarget {
  GradientTarget(Step<B>& step, Rows<B> dx, int row_count, int col_count)
      : accumulate(static_cast<bool>(dx)), rows(dx ? dx : step.scratch.rows(row_count, col_count)) {}

  bool accumulate;
  Rows<B> rows;
};

/// Ends the backward pass of a composite: drops the temporaries above `mark`. A result that is new, because no dx was
/// given to add to, moves down to the mark.
template <class B>
Rows<B> settle(Step<B>& step, typename Arena<B>::Mark mark, Rows<B> dx, Rows<B> result) {
  if (!dx) return step.scratch.rewind_keeping(mark, result);
  step.scratch.rewind(mark);
  return result;
}

}  // namespace neural_attention
