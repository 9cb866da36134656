// The hook for projectors that read more than their own rows, such as a convolution over the sequence. Instead of a
// module's forward and backward they have
//   static constexpr bool sees_sequences = true
//   forward(pass, x, saved, sequences) and backward(pass, dy, saved, dx, sequences), which know how x is packed,
//   State                               what decoding remembers of each live row; {} if nothing is decoded
//   begin_decoding(backend, rows, slots) -> State, for `rows` live rows that may become `slots`
//   decode(pass, x, state, runs)        the next rows: run i of x follows what live row i has
// and State has reorder(backend, parents): row i becomes the former row parents[i]. Other projectors need none of this.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "neural_attention/core/concepts.hpp"

namespace neural_attention {

/// The keys of an attention: its own whole sequence, its own sequence that grows token by token, or another sequence.
enum class AttentionUse { Self, Causal, Cross };

/// The place of a projector in a model.
struct ProjectorPlace {
  AttentionUse use = AttentionUse::Self;
  std::string_view role;

  /// Whether its rows come one after another when a model decodes, and so may not depend on later ones.
  bool grows() const {
    return use == AttentionUse::Causal || (use == AttentionUse::Cross && (role == "query" || role == "output"));
  }
  /// "the query of cross-attention"
  std::string text() const {
    const char* const kind = use == AttentionUse::Self     ? "self-attention"
                             : use == AttentionUse::Causal ? "causal self-attention"
                                                           : "cross-attention";
    return "the " + std::string(role) + " of " + kind;
  }
};

/// Throws ConfigError if a projector cannot stand there: if its member fault_at(place) returns a reason.
template <class P>
void require_place(const P& projector, const ProjectorPlace& place) {
  if constexpr (requires { projector.fault_at(place); })
    if (const std::string fault = projector.fault_at(place); !fault.empty()) throw ConfigError(fault);
}

/// What decoding remembers for projectors that see their own rows alone.
struct NoState {
  void reorder(auto&, std::span<const int>) {}
};

template <class P>
struct ProjectorStateOf {
  using type = NoState;
};
template <SeesSequences P>
struct ProjectorStateOf<P> {
  using type = typename P::State;
};
template <class P>
using ProjectorState = typename ProjectorStateOf<P>::type;

// Calls of any projector; only those that see sequences get the sequences and a state.

template <class B, class P>
Rows<B> project(const P& projector, const Pass<B>& pass, Rows<B> x, typename P::Saved& saved, const Ragged& sequences) {
  if constexpr (SeesSequences<P>)
    return projector.forward(pass, x, saved, sequences);
  else
    return projector.forward(pass, x, saved);
}

template <class B, class P>
Rows<B> project_backward(P& projector, const Pass<B>& pass, Rows<B> dy, const typename P::Saved& saved, Rows<B> dx,
                         const Ragged& sequences) {
  if constexpr (SeesSequences<P>)
    return projector.backward(pass, dy, saved, dx, sequences);
  else
    return projector.backward(pass, dy, saved, dx);
}

template <class B, class P>
ProjectorState<P> begin_projecting(const P& projector, B& backend, int rows, int slots) {
  if constexpr (SeesSequences<P>)
    return projector.begin_decoding(backend, rows, slots);
  else
    return {};
}

template <class B, class P>
Rows<B> project_next(const P& projector, const Pass<B>& pass, Rows<B> x, typename P::Saved& saved,
                     [[maybe_unused]] ProjectorState<P>& state, [[maybe_unused]] const Ragged& runs) {
  if constexpr (SeesSequences<P>)
    return projector.decode(pass, x, state, runs);
  else
    return projector.forward(pass, x, saved);
}

}  // namespace neural_attention
