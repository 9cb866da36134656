// Marian: the encoder-decoder of Hugging Face's MarianMTModel with any projectors.
// x = √d · E[ids] + sinusoid[position], dropout; layers; logits = h Eᵀ + final_logits_bias. Packed batches.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/models/encoder_decoder_body.hpp"
#include "neural_attention/models/generative_model.hpp"
#include "neural_attention/models/marian_config.hpp"
#include "neural_attention/models/tied_lm_head.hpp"

namespace neural_attention {

template <class B, class P>
class Marian : public GenerativeModel<Marian<B, P>, MarianConfig, EncoderDecoderBody<B, P, SinusoidalInput<B>>,
                                      TiedLmHead<B>, TranslationBatch> {
  using Base = typename Marian::GenerativeModel;

 public:
  using typename Base::Body, typename Base::Parts, typename Base::Saved;

  /// Initial weights follow from `seed`; without one (std::nullopt) they are zero, to be loaded. Throws ConfigError if
  /// the sizes make no sense.
  Marian(B& backend, const MarianConfig& config, std::optional<std::uint64_t> seed = 42,
         Purpose purpose = Purpose::Training);

  /// Without memory: all that it can do is to say its config and its parameters' names and shapes.
  explicit Marian(const MarianConfig& config);

  static Parts parts(const MarianConfig& config) {
    const double factor = config.scale_embedding ? std::sqrt(double(config.d_model)) : 1.0;
    return {"model",
            {{{config.vocab_size, config.d_model, config.pad_token_id, config.embedding_initial()},
              factor,
              config.max_position_embeddings,
              config.d_model},
             {layer_configs(config.encoder_layers, [&](int i) { return config.encoder_layer(i); }),
              config.gradient_checkpointing},
             {layer_configs(config.decoder_layers, [&](int i) { return config.decoder_layer(i); }),
              config.gradient_checkpointing}},
            "final_logits_bias",
            TiedLmHead<B>(Buffer<B>(1, config.vocab_size, Initial::constant(0.0)))};
  }

  /// How Hugging Face's files may differ: {other name, name} of the tied matrix, a buffer that may be missing, entries
  /// that are not parameters (patterns), and the table of positions, which is computed here.
  static constexpr std::array<std::array<std::string_view, 2>, 3> aliases = {
      {{"lm_head.weight", "model.shared.weight"},
       {"model.encoder.embed_tokens.weight", "model.shared.weight"},
       {"model.decoder.embed_tokens.weight", "model.shared.weight"}}};
  static constexpr std::array<std::string_view, 1> optional_names = {"final_logits_bias"};
  static constexpr std::array<std::string_view, 1> ignored_names = {"*.position_ids"};
  static constexpr std::array<std::string_view, 2> position_tables = {"model.encoder.embed_positions.weight",
                                                                      "model.decoder.embed_positions.weight"};
  double position_value(int position, int column) const {
    return SinusoidalPositions<B>::value(position, column, this->config().d_model);
  }

  /// Throws ConfigError if a target does not begin with pad_token_id, which decoding starts with: a model that
  /// learnt another start would be asked what it never saw. TrainingStep asks; other functions take any start.
  void check_targets(const TranslationBatch& batch) const;

  /// The encoder's output [source tokens, d].
  Rows<B> encode(const Pass<B>& pass, const TranslationBatch& batch, Saved& saved) const;

  /// The decoder's output [target tokens, d].
  Rows<B> decode(const Pass<B>& pass, const TranslationBatch& batch, Rows<B> memory, Saved& saved) const;

  /// What each head of each decoder layer attends to in the source for a given target: query i is the position that
  /// predicts label i. Throws ShapeError unless `pair` holds one sentence with its target.
  std::vector<AttentionMap> cross_attention(const Pass<B>& pass, const TranslationBatch& pair, Saved& saved) const;
};

template <class B, class P>
Marian<B, P>::Marian(B& backend, const MarianConfig& config, std::optional<std::uint64_t> seed, Purpose purpose)
    : Base(backend, config, seed, purpose) {}

template <class B, class P>
Marian<B, P>::Marian(const MarianConfig& config) : Base(config) {}

template <class B, class P>
Rows<B> Marian<B, P>::encode(const Pass<B>& pass, const TranslationBatch& batch, Saved& saved) const {
  return this->body().encode(pass, batch, saved.body);
}

template <class B, class P>
Rows<B> Marian<B, P>::decode(const Pass<B>& pass, const TranslationBatch& batch, Rows<B> memory, Saved& saved) const {
  return this->body().decode(pass, batch, memory, saved.body);
}

template <class B, class P>
std::vector<AttentionMap> Marian<B, P>::cross_attention(const Pass<B>& pass, const TranslationBatch& pair,
                                                        Saved& saved) const {
  this->check(pair);
  const int queries = pair.decoder_input.total(), keys = pair.source.total();
  if (pair.sentences() != 1 || queries == 0 || keys == 0)
    throw ShapeError("attention maps are made of one sentence with its translation, not of " +
                     std::to_string(pair.sentences()) + " sentences with " + std::to_string(keys) + " and " +
                     std::to_string(queries) + " tokens");
  return this->body().cross_attention(pass, pair, saved.body);
}

template <class B, class P>
void Marian<B, P>::check_targets(const TranslationBatch& batch) const {
  const auto& offsets = batch.decoder_input.offsets();
  for (int s = 0; s < offsets.sequences(); ++s) {
    if (offsets.length(s) == 0) continue;
    const int start = batch.decoder_input.ids()[static_cast<std::size_t>(offsets.begin(s))];
    if (start != this->config().pad_token_id)
      throw ConfigError("target sentence " + std::to_string(s) + " of a batch begins with token " +
                        std::to_string(start) + ", but the model's decoder starts with its pad_token_id, " +
                        std::to_string(this->config().pad_token_id));
  }
}

}  // namespace neural_attention
