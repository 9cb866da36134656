// The contracts of the library on one page: what a module, a projector and a set of projections must offer. The
// contract of a backend, such as Cpu<T>, is in core/operations.hpp.
#pragma once

#include <concepts>
#include <span>

#include "neural_attention/core/pass.hpp"
#include "neural_attention/core/projector_config.hpp"

namespace neural_attention {

/// Each requirement of a module has its own name, so that a compiler's message says what is missing.
template <class M>
concept HasSaved = requires {
  typename M::Saved;
};

template <class M>
concept HasVisit = requires(M& m) {
  M::visit(m, [](const auto&, auto&) {});
};

/// y [n, out] = forward(pass, x [n, in], saved): pushes what backward needs on pass.saved. y is never x, because a
/// caller may write into y.
template <class M, class B>
concept HasForward = HasSaved<M> && requires(const M m, const Pass<B>& pass, Rows<B> x, typename M::Saved& saved) {
  { m.forward(pass, x, saved) } -> std::same_as<Rows<B>>;
};

/// dx [n, in] = backward(pass, dy [n, out], saved, dx): adds to the gradients of parameters. If dx is given, adds to it
/// and returns it; otherwise returns new rows of pass.scratch. Does not change dy and does not read y.
template <class M, class B>
concept HasBackward = HasSaved<M> && requires(M m, const Pass<B>& pass, Rows<B> x, const typename M::Saved& saved) {
  { m.backward(pass, x, saved) } -> std::same_as<Rows<B>>;
  { m.backward(pass, x, saved, x) } -> std::same_as<Rows<B>>;
};

template <class M, class B>
concept Module = HasSaved<M> && HasVisit<M> && HasForward<M, B> && HasBackward<M, B>;

/// A projector that sees more than its own rows says so and has the functions of attention/sequence_projector.hpp
/// instead of the two above.
template <class P>
concept SeesSequences = requires {
  requires P::sees_sequences;
};
template <class P, class B>
concept HasSequenceHook = HasSaved<P> &&
    requires(P p, const P c, const Pass<B>& pass, B& backend, Rows<B> x, typename P::Saved& saved,
             const typename P::Saved& kept, const Ragged& sequences, typename P::State& state,
             std::span<const int> parents) {
  { c.forward(pass, x, saved, sequences) } -> std::same_as<Rows<B>>;
  { p.backward(pass, x, kept, x, sequences) } -> std::same_as<Rows<B>>;
  { c.begin_decoding(backend, 1, 1) } -> std::same_as<typename P::State>;
  { c.decode(pass, x, state, sequences) } -> std::same_as<Rows<B>>;
  state.reorder(backend, parents);
};

/// A map of queries, keys, values or attention outputs: a module that a ProjectorConfig constructs, or one that sees
/// whole sequences.
template <class P, class B>
concept Projector = std::constructible_from<P, ProjectorConfig> && HasVisit<P> &&
    (Module<P, B> || HasSequenceHook<P, B>);

/// Reports in one sentence what a projector lacks.
template <class P, class B>
struct CheckProjector {
  static_assert(std::constructible_from<P, ProjectorConfig>, "a projector needs a constructor from ProjectorConfig");
  static_assert(HasSaved<P>, "a projector needs a type Saved");
  static_assert(HasVisit<P>, "a projector needs static void visit(auto& self, auto&& visitor)");
  static_assert(SeesSequences<P> || HasForward<P, B>,
                "a projector needs Rows<B> forward(const Pass<B>&, Rows<B> x, Saved&) const");
  static_assert(SeesSequences<P> || HasBackward<P, B>,
                "a projector needs Rows<B> backward(const Pass<B>&, Rows<B> dy, const Saved&, Rows<B> dx = {})");
  static_assert(!SeesSequences<P> || HasSequenceHook<P, B>,
                "a projector that sees sequences needs forward, backward, begin_decoding, decode and a type State, as "
                "attention/sequence_projector.hpp says");
};

}  // namespace neural_attention
