// EncoderDecoderBody: an encoder reads the source, and a decoder that attends to its output reads the target. Both
// sides have one Input, so they share its embedding. models/bodies.hpp describes its interface.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/translation_batch.hpp"
#include "neural_attention/models/attention_maps.hpp"
#include "neural_attention/models/decoder_state.hpp"
#include "neural_attention/models/inputs.hpp"

namespace neural_attention {

template <class B, class P, class Input, class Names = BartNames>
class EncoderDecoderBody {
 public:
  using Backend = B;
  using Projections = P;
  using Tokens = TranslationBatch;
  using Prompts = TranslationBatch;
  using Encoder = LayerStack<B, EncoderLayer<B, P, Names>, Names>;
  using Decoder = LayerStack<B, DecoderLayer<B, P, Names>, Names>;
  using State = DecoderState<B, Decoder>;

  /// What forward keeps for backward. It lives from step to step, so that its vectors stop growing.
  struct Saved {
    typename Input::Saved source, target;
    typename Encoder::Saved encoder;
    typename Decoder::Saved decoder;
    Rows<B> memory;  ///< the encoder's output
  };

  EncoderDecoderBody(Input input, Encoder encoder, Decoder decoder)
      : input_(std::move(input)), encoder_(std::move(encoder)), decoder_(std::move(decoder)) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("shared", self.input_);
    visitor("encoder", self.encoder_);
    visitor("decoder", self.decoder_);
  }
  void allocate(B& backend) {
    if constexpr (requires { input_.allocate(backend); }) input_.allocate(backend);
  }

  static const Place& place(const TranslationBatch& batch) { return batch.decoder_input.place(); }

  /// The encoder's output [source tokens, d].
  Rows<B> encode(const Pass<B>& caller, const TranslationBatch& batch, Saved& saved) const {
    const auto pass = caller.at(batch.source.place());
    return encoder_.forward(pass, input_.forward(pass, batch.source, saved.source), saved.encoder,
                            batch.source.offsets());
  }
  /// The decoder's output [target tokens, d].
  Rows<B> decode(const Pass<B>& caller, const TranslationBatch& batch, Rows<B> memory, Saved& saved) const {
    const auto pass = caller.at(batch.decoder_input.place());
    const DecoderContext<B> context{batch.decoder_input.offsets(), batch.source.offsets(), memory, {}};
    return decoder_.forward(pass, input_.forward(pass, batch.decoder_input, saved.target), saved.decoder, context);
  }

  Rows<B> forward(const Pass<B>& pass, const TranslationBatch& batch, Saved& saved) const {
    saved.memory = encode(pass, batch, saved);
    return decode(pass, batch, saved.memory, saved);
  }

  void backward(const Pass<B>& pass, Rows<B> dhidden, const TranslationBatch& batch, const Saved& saved) {
    const ArenaScope scope(pass.scratch);
    const auto dmemory = pass.scratch.rows(saved.memory.rows, saved.memory.cols);
    pass.backend(ops::Fill<B>{.x = dmemory, .value = typename B::Scalar(0)});
    const auto mark = pass.scratch.mark();
    const DecoderContext<B> context{batch.decoder_input.offsets(), batch.source.offsets(), saved.memory, dmemory};
    const auto target = pass.at(batch.decoder_input.place());
    input_.backward(target, decoder_.backward(target, mark, dhidden, saved.decoder, context), batch.decoder_input,
                    saved.target);
    pass.scratch.rewind(mark);
    const auto source = pass.at(batch.source.place());
    input_.backward(source, encoder_.backward(source, mark, dmemory, saved.encoder, batch.source.offsets()),
                    batch.source, saved.source);
  }

  /// Throws ShapeError if a sentence does not fit the model, and if a source has no target or a target no source.
  void check(const TranslationBatch& batch) const {
    input_.check(batch.source, "source", "source sentence");
    input_.check(batch.decoder_input, "target", "target sentence");
    checks::one_each("target sentence", batch.decoder_input.offsets().sequences(), "source sentence",
                     batch.sentences());
  }

  const Encoder& encoder() const { return encoder_; }
  const Decoder& decoder() const { return decoder_; }
  Embedding<B>& words() { return input_.words(); }
  const Embedding<B>& words() const { return input_.words(); }

  /// Throws ShapeError if a source or a prefix does not fit the model, for a source without tokens, and if some
  /// sources have a prefix and others have none.
  void check_prompts(const TranslationBatch& batch) const {
    check(batch);
    input_.check(batch.prefixes, "prefix's", "prefix");
    if (const int prefixes = batch.prefixes.offsets().sequences(); prefixes != 0 && prefixes != batch.sentences())
      throw ShapeError("a batch has " + std::to_string(batch.sentences()) + " sources and " + std::to_string(prefixes) +
                       " prefixes: each source needs one, or none has any");
    for (int s = 0; s < batch.sentences(); ++s)
      if (batch.source.offsets().length(s) == 0)
        throw ShapeError("source sentence " + std::to_string(s) + " of a batch has no tokens");
  }
  /// `start` and the prefix.
  static PackedTokens histories(const TranslationBatch& batch, int start) {
    PackedTokens result;
    result.begin_at({0, batch.source.place().first_sequence});
    std::vector<int> history;
    for (int s = 0; s < batch.sentences(); ++s) {
      history.assign(1, start);
      if (batch.prefixes.offsets().sequences() > 0) {
        const auto prefix = batch.prefixes.sequence(s);
        history.insert(history.end(), prefix.begin(), prefix.end());
      }
      result.push(history);
    }
    return result;
  }

  /// As GenerativeModel's: encodes the sources and projects their keys and values once.
  State begin_decoding(const Pass<B>& pass, const TranslationBatch& batch, int capacity, int rows_per_sequence,
                       Saved& saved) const {
    const ArenaScope scope(pass.saved);
    const auto memory = encode(pass, batch, saved);
    const int rows = batch.sentences();
    capacity = std::min(capacity, positions());
    const DecodingStart<B> start{rows, rows * rows_per_sequence, capacity, batch.source.offsets(), memory};
    return {decoder_.begin_decoding(pass, start), rows, capacity};
  }
  Rows<B> decode(const Pass<B>& pass, std::span<const int> ids, const Ragged& runs, State& state) const {
    return decode_runs(pass, input_, decoder_, ids, runs, state);
  }

  /// What each head of each decoder layer attends to in the source, of a batch of one sentence with its target.
  std::vector<AttentionMap> cross_attention(const Pass<B>& pass, const TranslationBatch& pair, Saved& saved) const {
    const auto memory = encode(pass, pair, saved);
    const DecoderContext<B> context{pair.decoder_input.offsets(), pair.source.offsets(), memory, {}};
    const auto target = pass.at(pair.decoder_input.place());
    const auto x = decoder_.begin(target, input_.forward(target, pair.decoder_input, saved.target), saved.decoder);
    return cross_attention_maps<B, P, Names>(target, decoder_, x, context);
  }

  int decoder_layers() const { return decoder_.size(); }
  int positions() const { return input_.positions(); }

 private:
  Input input_;
  Encoder encoder_;
  Decoder decoder_;
};

}  // namespace neural_attention
