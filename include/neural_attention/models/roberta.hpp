// RoBERTa: the masked language model of Hugging Face's RobertaForMaskedLM with any projectors.
// x = drop(LN(E[ids] + T[types] + P[positions])); layers; the head sees the masked rows. Packed batches.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "neural_attention/models/bodies.hpp"
#include "neural_attention/models/masked_lm_head.hpp"
#include "neural_attention/models/model.hpp"
#include "neural_attention/models/roberta_config.hpp"

namespace neural_attention {

template <class B, class P>
class Roberta : public ModelBase<Roberta<B, P>, RobertaConfig, EncoderBody<B, P, BertInput<B>, BertNames>,
                                 MaskedLmHead<B>, MaskedBatch> {
  using Base = typename Roberta::ModelBase;

 public:
  using typename Base::Parts, typename Base::Saved;

  /// Initial weights follow from `seed`; without one (std::nullopt) they are zero, to be loaded. Throws ConfigError if
  /// the sizes make no sense.
  Roberta(B& backend, const RobertaConfig& config, std::optional<std::uint64_t> seed = 42,
          Purpose purpose = Purpose::Training);

  /// Without memory: all that it can do is to say its config and its parameters' names and shapes.
  explicit Roberta(const RobertaConfig& config);

  static Parts parts(const RobertaConfig& config) {
    constexpr int no_padding = -1;
    const auto table = [&](int rows, int padding) {
      return Embedding<B>(rows, config.hidden_size, padding, config.initial());
    };
    return {config.normalize_before ? "roberta_prelayernorm" : "roberta",
            {{table(config.vocab_size, config.pad_token_id), table(config.max_position_embeddings, config.pad_token_id),
              table(config.type_vocab_size, no_padding), LayerNorm<B>(config.hidden_size, config.layer_norm_eps),
              config.pad_token_id},
             layer_configs(config.num_hidden_layers, [&](int i) { return config.layer(i); }),
             config.gradient_checkpointing},
            "lm_head",
            {config.hidden_size, config.vocab_size, config.layer_norm_eps, config.layer().initial}};
  }

  /// How Hugging Face's files may differ: {other name, name} of tied tensors, and entries that do not belong to the
  /// masked language model (patterns).
  static constexpr std::array<std::array<std::string_view, 2>, 3> aliases = {
      {{"lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight"},
       {"lm_head.decoder.weight", "roberta_prelayernorm.embeddings.word_embeddings.weight"},
       {"lm_head.decoder.bias", "lm_head.bias"}}};
  static constexpr std::array<std::string_view, 4> ignored_names = {
      "roberta.embeddings.position_ids", "roberta.pooler.*", "roberta_prelayernorm.embeddings.position_ids",
      "roberta_prelayernorm.pooler.*"};

  /// The encoder's output [tokens, d].
  Rows<B> encode(const Pass<B>& pass, const EncoderBatch& batch, Saved& saved) const;

  /// The input of the output layer for the masked rows [masked tokens, d].
  Rows<B> masked_states(const Pass<B>& pass, Rows<B> hidden, const MaskedBatch& batch, Saved& saved) const;

  /// logits [n, vocabulary] of states [n, d].
  void logits(const Pass<B>& pass, Rows<B> states, Rows<B> logits) const;

  /// logits [masked tokens, vocabulary] on the scratch stack. Throws ShapeError if the batch does not fit the model.
  Rows<B> masked_logits(const Pass<B>& pass, const MaskedBatch& batch, Saved& saved) const;
};

template <class B, class P>
Roberta<B, P>::Roberta(B& backend, const RobertaConfig& config, std::optional<std::uint64_t> seed, Purpose purpose)
    : Base(backend, config, seed, purpose) {}

template <class B, class P>
Roberta<B, P>::Roberta(const RobertaConfig& config) : Base(config) {}

template <class B, class P>
Rows<B> Roberta<B, P>::encode(const Pass<B>& pass, const EncoderBatch& batch, Saved& saved) const {
  return this->body().forward(pass, batch, saved.body);
}

template <class B, class P>
Rows<B> Roberta<B, P>::masked_states(const Pass<B>& pass, Rows<B> hidden, const MaskedBatch& batch,
                                     Saved& saved) const {
  return this->head().forward(pass, hidden, batch.masked_rows, saved.head);
}

template <class B, class P>
void Roberta<B, P>::logits(const Pass<B>& pass, Rows<B> states, Rows<B> logits) const {
  this->head().logits(pass, this->body().words(), states, logits);
}

template <class B, class P>
Rows<B> Roberta<B, P>::masked_logits(const Pass<B>& pass, const MaskedBatch& batch, Saved& saved) const {
  this->check(batch);
  const auto states = masked_states(pass, encode(pass, batch, saved), batch, saved);
  const auto result = pass.scratch.aligned_rows(states.rows, this->config().vocab_size);
  logits(pass, states, result);
  return result;
}

}  // namespace neural_attention
