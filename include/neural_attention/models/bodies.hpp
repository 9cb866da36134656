// Bodies of models: from a batch of tokens to hidden states [rows, d], from which a head makes logits and a loss. A
// body has
//   Tokens                        the batch that it reads, and place(tokens), where the hidden states lie in their step
//   forward(pass, tokens, saved), and backward(pass, dhidden, tokens, saved), which leaves dhidden as it is
//   words()                       the embedding, whose matrix a tied head shares
//   check(tokens)                 throws ShapeError if the tokens do not fit
//   allocate(backend)             makes what is no parameter
// EncoderBody reads whole sequences, DecoderBody sees the tokens up to the own one and generates. EncoderDecoderBody
// has a header of its own.
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "neural_attention/models/decoder_state.hpp"
#include "neural_attention/models/inputs.hpp"

namespace neural_attention {

/// One stack of layers on an Input (models/inputs.hpp).
template <class B, class P, class Input, class Element, class Names>
class StackBody {
 public:
  using Backend = B;
  using Projections = P;
  using Tokens = typename Input::Tokens;
  using Layers = LayerStack<B, Element, Names>;

  /// What forward keeps for backward. It lives from step to step, so that its vectors stop growing.
  struct Saved {
    typename Input::Saved input;
    typename Layers::Saved layers;
  };

  /// Throws ConfigError if there are no layers or too many.
  StackBody(Input input, int layers, const LayerConfig& layer, bool recompute = false)
      : input_(std::move(input)), layers_(layers, layer, recompute) {}
  /// One layer of each config; they may differ in their projectors.
  StackBody(Input input, const std::vector<LayerConfig>& layers, bool recompute = false)
      : input_(std::move(input)), layers_(layers, recompute) {}

  static void visit(auto& self, auto&& visitor) {
    visitor(Names::embeddings, self.input_);
    visitor("", self.layers_);
  }
  void allocate(B& backend) {
    if constexpr (requires { input_.allocate(backend); }) input_.allocate(backend);
  }

  static const Place& place(const Tokens& tokens) { return tokens.place(); }

  Rows<B> forward(const Pass<B>& caller, const Tokens& tokens, Saved& saved) const {
    const auto pass = caller.at(place(tokens));
    return layers_.forward(pass, input_.forward(pass, tokens, saved.input), saved.layers, tokens.offsets());
  }

  void backward(const Pass<B>& caller, Rows<B> dhidden, const Tokens& tokens, const Saved& saved) {
    const auto pass = caller.at(place(tokens));
    const ArenaScope scope(pass.scratch);
    const auto dx = layers_.backward(pass, pass.scratch.mark(), dhidden, saved.layers, tokens.offsets());
    input_.backward(pass, dx, tokens, saved.input);
  }

  void check(const Tokens& tokens) const { input_.check(tokens); }

  const Layers& layers() const { return layers_; }
  Embedding<B>& words() { return input_.words(); }
  const Embedding<B>& words() const { return input_.words(); }

 protected:
  Input input_;
  Layers layers_;
};

template <class B, class P, class Input, class Names = BartNames>
using EncoderBody = StackBody<B, P, Input, EncoderLayer<B, P, Names>, Names>;

/// A decoder without an encoder: causal layers, of which prompts can be continued.
template <class B, class P, class Input, class Names = BartNames>
class DecoderBody : public StackBody<B, P, Input, CausalLayer<B, P, Names>, Names> {
  using Base = StackBody<B, P, Input, CausalLayer<B, P, Names>, Names>;

 public:
  using Base::Base;
  using typename Base::Saved;
  using Prompts = PackedTokens;
  using State = DecoderState<B, typename Base::Layers>;

  /// Throws ShapeError if a prompt does not fit the model.
  void check_prompts(const PackedTokens& prompts) const { this->input_.check(prompts, "prompt's", "prompt"); }
  static PackedTokens histories(const PackedTokens& prompts, int) { return prompts; }

  /// As GenerativeModel's.
  State begin_decoding(const Pass<B>& pass, const PackedTokens& prompts, int capacity, int rows_per_sequence,
                       Saved&) const {
    const int rows = prompts.offsets().sequences();
    capacity = std::min(capacity, positions());
    const DecodingStart<B> start{rows, rows * rows_per_sequence, capacity, prompts.offsets(), {}};
    return {this->layers_.begin_decoding(pass, start), rows, capacity};
  }
  Rows<B> decode(const Pass<B>& pass, std::span<const int> ids, const Ragged& runs, State& state) const {
    return decode_runs(pass, this->input_, this->layers_, ids, runs, state);
  }

  int decoder_layers() const { return this->layers_.size(); }
  int positions() const { return this->input_.positions(); }
};

}  // namespace neural_attention
