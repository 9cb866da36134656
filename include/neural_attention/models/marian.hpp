// Marian: the encoder-decoder of Hugging Face's MarianMTModel with projectors of one's choice.
// x = √d · E[ids] + sinusoid[position], dropout; layers; logits = h Eᵀ + final_logits_bias. Packed batches.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "neural_attention/core/translation_batch.hpp"
#include "neural_attention/models/attention_maps.hpp"
#include "neural_attention/models/layers.hpp"
#include "neural_attention/models/marian_config.hpp"
#include "neural_attention/nn/embedding.hpp"
#include "neural_attention/nn/positions.hpp"
#include "neural_attention/nn/tied_output.hpp"

namespace neural_attention {

template <class B, class P>
class Marian {
 public:
  using Backend = B;
  using Projections = P;
  using Config = MarianConfig;
  using Batch = TranslationBatch;
  using Encoder = LayerStack<B, EncoderLayer<B, P>>;
  using Decoder = LayerStack<B, DecoderLayer<B, P>>;

  /// What forward keeps for backward. Kept between steps: its vectors do not grow again.
  struct Saved {
    typename Encoder::Saved encoder;
    typename Decoder::Saved decoder;
    typename Dropout<B>::Saved source_dropout, target_dropout;
    Rows<B> source_embedding, target_embedding;
  };

  /// What a decoder remembers of the tokens so far. A row is a sentence or, of several in one sentence, a beam.
  using DecoderState = typename Decoder::Caches;

  /// Initial weights follow from `seed`; without one (std::nullopt) they are zero, to be loaded. Throws ConfigError
  /// where the sizes make no sense.
  Marian(B& backend, const MarianConfig& config, std::optional<std::uint64_t> seed = 42,
         Purpose purpose = Purpose::Training);

  /// use(model) with a model of such sizes that has no memory, but its config and its parameters' names and shapes: to
  /// look whether a file has them, or whether they are too many, before anything is allocated. Throws ConfigError
  /// where the sizes make no sense.
  static void inspect(const MarianConfig& config, auto&& use) {
    Marian outline(config);
    use(outline);
  }

  static void visit(auto& self, auto&& visitor) {
    visitor("model.shared", self.shared_);
    visitor("model.encoder.dropout", self.source_dropout_);
    visitor("model.encoder", self.encoder_);
    visitor("model.decoder.dropout", self.target_dropout_);
    visitor("model.decoder", self.decoder_);
    visitor("final_logits_bias", self.output_);
  }

  /// What files of Hugging Face's may hold otherwise: {other name, name} of the tied matrix, a buffer that may be
  /// missing, what is not a parameter (patterns), and the table of positions, which is computed here.
  static constexpr std::array<std::array<std::string_view, 2>, 3> aliases = {
      {{"lm_head.weight", "model.shared.weight"},
       {"model.encoder.embed_tokens.weight", "model.shared.weight"},
       {"model.decoder.embed_tokens.weight", "model.shared.weight"}}};
  static constexpr std::array<std::string_view, 1> optional_names = {"final_logits_bias"};
  static constexpr std::array<std::string_view, 1> ignored_names = {"*.position_ids"};
  static constexpr std::array<std::string_view, 2> position_tables = {"model.encoder.embed_positions.weight",
                                                                      "model.decoder.embed_positions.weight"};
  double position_value(int position, int column) const {
    return SinusoidalPositions<B>::value(position, column, config_.d_model);
  }

  const MarianConfig& config() const { return config_; }
  ParameterStore<B>& parameters() { return parameters_; }
  const ParameterStore<B>& parameters() const { return parameters_; }

  /// Throws ShapeError where the batch does not fit the model: ids beyond the vocabulary, sentences beyond the
  /// positions.
  void check(const TranslationBatch& batch) const;

  /// Throws ConfigError where a target does not begin with pad_token_id, which decoding starts with: a model that
  /// learnt another start would be asked what it never saw. TrainingStep asks; the functions below take any start.
  void check_targets(const TranslationBatch& batch) const;

  /// The encoder's output [source tokens, d].
  Rows<B> encode(const Pass<B>& pass, const TranslationBatch& batch, Saved& saved) const;

  /// The decoder's output [target tokens, d].
  Rows<B> decode(const Pass<B>& pass, const TranslationBatch& batch, Rows<B> memory, Saved& saved) const;

  /// logits [n, vocabulary] of decoder outputs h [n, d].
  void logits(const Pass<B>& pass, Rows<B> h, Rows<B> logits) const;

  /// Sums of the loss over a batch, without gradients: waits for them. Throws ShapeError where the batch does not fit
  /// the model.
  LossSum loss(const Pass<B>& pass, const TranslationBatch& batch, double smoothing, Saved& saved) const;

  /// Forward and backward: writes or adds the sums of the loss to `outcome` as `into` says, and adds
  /// gradient_scale · their gradients. For the gradient of a mean over N tokens, gradient_scale is 1/N. Throws as
  /// loss(), and ConfigError for a model that was made for inference.
  void loss_and_gradient(const Pass<B>& pass, const TranslationBatch& batch, double smoothing, double gradient_scale,
                         Into into, StepOutcome* outcome, Saved& saved);

  /// Begins decoding, row i with sentence i: encodes the sources and projects their keys and values once. At most
  /// `capacity` tokens follow, in at most `rows_per_sentence` rows a sentence.
  DecoderState begin_decoding(const Pass<B>& pass, const TranslationBatch& batch, int capacity, int rows_per_sentence,
                              Saved& saved) const;

  /// The next token of each live row: its newest one and its position; logits [rows, vocabulary].
  void decode_next(const Pass<B>& pass, std::span<const int> ids, std::span<const int> positions, DecoderState& state,
                   Rows<B> logits) const;

  /// What each head of each decoder layer attends to in the source when the target is given: query i is the position
  /// that predicts label i. `pair` holds one sentence with its target; else throws ShapeError.
  std::vector<AttentionMap> cross_attention(const Pass<B>& pass, const TranslationBatch& pair, Saved& saved) const;

 private:
  explicit Marian(const MarianConfig& config);  // without memory

  double embedding_factor() const { return config_.scale_embedding ? std::sqrt(double(config_.d_model)) : 1.0; }

  Rows<B> embed(const Pass<B>& pass, const PackedTokens& tokens, const Dropout<B>& dropout,
                typename Dropout<B>::Saved& saved) const;

  void embed_backward(const Pass<B>& pass, const PackedTokens& tokens, Rows<B> dy,
                      const typename Dropout<B>::Saved& saved);

  void check(const PackedTokens& tokens, const char* side, const char* sentence) const;

  MarianConfig config_;
  Embedding<B> shared_;
  SinusoidalPositions<B> positions_;
  Dropout<B> source_dropout_, target_dropout_;
  Encoder encoder_;
  Decoder decoder_;
  TiedOutput<B> output_;
  ParameterStore<B> parameters_;
};

template <class B, class P>
Marian<B, P>::Marian(const MarianConfig& config)
    : config_((config.validate(), with_type_names<B, P>(config))),
      shared_(config.vocab_size, config.d_model, config.pad_token_id, config.embedding_initial()),
      source_dropout_(config.dropout),
      target_dropout_(config.dropout),
      encoder_(config.encoder_layers, config.encoder_layer(), config.gradient_checkpointing),
      decoder_(config.decoder_layers, config.decoder_layer(), config.gradient_checkpointing),
      output_(Buffer<B>(1, config.vocab_size, Initial::constant(0.0))),
      parameters_(ParameterStore<B>::outline(*this)) {
  SinusoidalPositions<B>::size(config.max_position_embeddings, config.d_model);
}

template <class B, class P>
Marian<B, P>::Marian(B& backend, const MarianConfig& config, std::optional<std::uint64_t> seed, Purpose purpose)
    : Marian(config) {
  parameters_.allocate(backend, *this, purpose == Purpose::Training);
  positions_ = SinusoidalPositions<B>(backend, config.max_position_embeddings, config.d_model);
  if (seed) parameters_.initialise(*seed);
}

template <class B, class P>
void Marian<B, P>::check(const TranslationBatch& batch) const {
  check(batch.source, "source", "source sentence");
  check(batch.decoder_input, "target", "target sentence");
  checks::ids("target", batch.labels, config_.vocab_size);
}

template <class B, class P>
Rows<B> Marian<B, P>::encode(const Pass<B>& pass, const TranslationBatch& batch, Saved& saved) const {
  const auto source = pass.at(batch.source.place());
  saved.source_embedding = embed(source, batch.source, source_dropout_, saved.source_dropout);
  return encoder_.forward(source, saved.source_embedding, saved.encoder, batch.source.offsets());
}

template <class B, class P>
Rows<B> Marian<B, P>::decode(const Pass<B>& pass, const TranslationBatch& batch, Rows<B> memory, Saved& saved) const {
  const auto target = pass.at(batch.decoder_input.place());
  saved.target_embedding = embed(target, batch.decoder_input, target_dropout_, saved.target_dropout);
  const DecoderContext<B> context{batch.decoder_input.offsets(), batch.source.offsets(), memory, {}};
  return decoder_.forward(target, saved.target_embedding, saved.decoder, context);
}

template <class B, class P>
void Marian<B, P>::logits(const Pass<B>& pass, Rows<B> h, Rows<B> logits) const {
  output_.logits(pass, shared_.weight, h, logits);
}

template <class B, class P>
LossSum Marian<B, P>::loss(const Pass<B>& pass, const TranslationBatch& batch, double smoothing, Saved& saved) const {
  check(batch);
  const auto memory = encode(pass, batch, saved);
  return output_.loss(pass, shared_.weight, decode(pass, batch, memory, saved), batch.labels, smoothing);
}

template <class B, class P>
void Marian<B, P>::loss_and_gradient(const Pass<B>& pass, const TranslationBatch& batch, double smoothing,
                                     double gradient_scale, Into into, StepOutcome* outcome, Saved& saved) {
  parameters_.require_gradients();
  check(batch);
  const auto memory = encode(pass, batch, saved);
  const auto hidden = decode(pass, batch, memory, saved);

  const auto dmemory = pass.scratch.rows(memory.rows, memory.cols);
  pass.backend(ops::Fill<B>{.x = dmemory, .value = typename B::Scalar(0)});
  const auto mark = pass.scratch.mark();
  auto dy = pass.scratch.rows(hidden.rows, hidden.cols);
  output_.loss_and_gradient(pass, shared_.weight, hidden, batch.labels, smoothing, gradient_scale, dy, into, outcome);
  const DecoderContext<B> context{batch.decoder_input.offsets(), batch.source.offsets(), memory, dmemory};
  const auto target = pass.at(batch.decoder_input.place());
  dy = decoder_.backward(target, mark, dy, saved.decoder, context);
  embed_backward(target, batch.decoder_input, dy, saved.target_dropout);

  pass.scratch.rewind(mark);
  const auto source = pass.at(batch.source.place());
  dy = encoder_.backward(source, mark, dmemory, saved.encoder, batch.source.offsets());
  embed_backward(source, batch.source, dy, saved.source_dropout);
}

template <class B, class P>
typename Marian<B, P>::DecoderState Marian<B, P>::begin_decoding(const Pass<B>& pass, const TranslationBatch& batch,
                                                                 int capacity, int rows_per_sentence,
                                                                 Saved& saved) const {
  const ArenaScope scope(pass.saved);
  const auto memory = encode(pass, batch, saved);
  return decoder_.begin_decoding(
      pass, {batch.sentences(), batch.sentences() * rows_per_sentence, capacity, batch.source.offsets(), memory});
}

template <class B, class P>
void Marian<B, P>::decode_next(const Pass<B>& pass, std::span<const int> ids, std::span<const int> positions,
                               DecoderState& state, Rows<B> logits) const {
  const ArenaScope scope(pass.saved);
  auto x = pass.saved.rows(static_cast<int>(ids.size()), config_.d_model);
  shared_.forward(pass, ids, embedding_factor(), Into::Write, x);
  positions_.add(pass, positions, x);
  x = decoder_.decode(pass, x, state);
  output_.logits(pass, shared_.weight, x, logits);
}

template <class B, class P>
std::vector<AttentionMap> Marian<B, P>::cross_attention(const Pass<B>& pass, const TranslationBatch& pair,
                                                        Saved& saved) const {
  check(pair);
  const int queries = pair.decoder_input.total(), keys = pair.source.total();
  if (pair.sentences() != 1 || queries == 0 || keys == 0)
    throw ShapeError("attention maps are made of one sentence with its translation, not of " +
                     std::to_string(pair.sentences()) + " sentences with " + std::to_string(keys) + " and " +
                     std::to_string(queries) + " tokens");
  const auto memory = encode(pass, pair, saved);
  const DecoderContext<B> context{pair.decoder_input.offsets(), pair.source.offsets(), memory, {}};
  const auto target = pass.at(pair.decoder_input.place());
  const auto x = embed(target, pair.decoder_input, target_dropout_, saved.target_dropout);
  return cross_attention_maps<B, P, BartNames>(target, decoder_, x, context);
}

template <class B, class P>
Rows<B> Marian<B, P>::embed(const Pass<B>& pass, const PackedTokens& tokens, const Dropout<B>& dropout,
                            typename Dropout<B>::Saved& saved) const {
  const auto x = pass.saved.rows(tokens.total(), config_.d_model);
  shared_.forward(pass, tokens.ids(), embedding_factor(), Into::Write, x);
  positions_.add(pass, tokens.positions(), x);
  return dropout.forward(pass, x, saved);
}

template <class B, class P>
void Marian<B, P>::embed_backward(const Pass<B>& pass, const PackedTokens& tokens, Rows<B> dy,
                                  const typename Dropout<B>::Saved& saved) {
  pass.backend(ops::Dropout<B>{.x = dy, .mask = saved.mask, .y = dy});
  shared_.backward(pass, dy, tokens.ids(), embedding_factor());
}

template <class B, class P>
void Marian<B, P>::check(const PackedTokens& tokens, const char* side, const char* sentence) const {
  checks::length(sentence, tokens.offsets().longest(), positions_.positions());
  checks::ids(side, tokens.ids(), config_.vocab_size);
}

template <class B, class P>
void Marian<B, P>::check_targets(const TranslationBatch& batch) const {
  const auto& offsets = batch.decoder_input.offsets();
  for (int s = 0; s < offsets.sequences(); ++s) {
    if (offsets.length(s) == 0) continue;
    const int start = batch.decoder_input.ids()[static_cast<std::size_t>(offsets.begin(s))];
    if (start != config_.pad_token_id)
      throw ConfigError("target sentence " + std::to_string(s) + " of a batch begins with token " +
                        std::to_string(start) + ", but the model's decoder starts with its pad_token_id, " +
                        std::to_string(config_.pad_token_id));
  }
}

}  // namespace neural_attention
