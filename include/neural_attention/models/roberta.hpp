// RoBERTa: the masked language model of Hugging Face's RobertaForMaskedLM with projectors of one's choice.
// x = drop(LN(E[ids] + T[types] + P[positions])); layers; the head sees the masked rows. Packed batches.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "neural_attention/core/masked_batch.hpp"
#include "neural_attention/models/layers.hpp"
#include "neural_attention/models/masked_lm_head.hpp"
#include "neural_attention/models/roberta_config.hpp"
#include "neural_attention/nn/embedding.hpp"

namespace neural_attention {

template <class B, class P>
class Roberta {
 public:
  using Backend = B;
  using Projections = P;
  using Config = RobertaConfig;
  using Batch = MaskedBatch;
  using Encoder = LayerStack<B, EncoderLayer<B, P, BertNames>, BertNames>;

  /// What forward keeps for backward. Kept between steps: its vectors do not grow again.
  struct Saved {
    typename LayerNorm<B>::Saved norm;
    typename Dropout<B>::Saved dropout;
    Rows<B> embedding;
    typename Encoder::Saved encoder;
    typename MaskedLmHead<B>::Saved head;
  };

  /// Initial weights follow from `seed`; without one (std::nullopt) they are zero, to be loaded. Throws ConfigError
  /// where the sizes make no sense.
  Roberta(B& backend, const RobertaConfig& config, std::optional<std::uint64_t> seed = 42,
          Purpose purpose = Purpose::Training);

  /// use(model) with a model of such sizes that has no memory, but its config and its parameters' names and shapes: to
  /// look whether a file has them, or whether they are too many, before anything is allocated. Throws ConfigError
  /// where the sizes make no sense.
  static void inspect(const RobertaConfig& config, auto&& use) {
    Roberta outline(config);
    use(outline);
  }

  static void visit(auto& self, auto&& visitor) {
    const std::string root = self.config_.normalize_before ? "roberta_prelayernorm" : "roberta";
    visitor(root + ".embeddings.word_embeddings", self.words_);
    visitor(root + ".embeddings.position_embeddings", self.positions_);
    visitor(root + ".embeddings.token_type_embeddings", self.types_);
    visitor(root + ".embeddings.LayerNorm", self.norm_);
    visitor(root + ".embeddings.dropout", self.dropout_);
    visitor(root, self.encoder_);
    visitor("lm_head", self.head_);
  }

  /// What files of Hugging Face's may hold otherwise: {other name, name} of tied tensors, and what does not belong to
  /// the masked language model (patterns).
  static constexpr std::array<std::array<std::string_view, 2>, 3> aliases = {
      {{"lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight"},
       {"lm_head.decoder.weight", "roberta_prelayernorm.embeddings.word_embeddings.weight"},
       {"lm_head.decoder.bias", "lm_head.bias"}}};
  static constexpr std::array<std::string_view, 0> optional_names = {};
  static constexpr std::array<std::string_view, 4> ignored_names = {
      "roberta.embeddings.position_ids", "roberta.pooler.*", "roberta_prelayernorm.embeddings.position_ids",
      "roberta_prelayernorm.pooler.*"};

  const RobertaConfig& config() const { return config_; }
  ParameterStore<B>& parameters() { return parameters_; }
  const ParameterStore<B>& parameters() const { return parameters_; }

  /// Throws ShapeError where the batch does not fit the model: ids beyond the vocabulary, sequences beyond the
  /// positions.
  void check(const MaskedBatch& batch) const;

  /// The encoder's output [tokens, d].
  Rows<B> encode(const Pass<B>& pass, const MaskedBatch& batch, Saved& saved) const;

  /// What the output layer sees of the masked rows [masked tokens, d].
  Rows<B> masked_states(const Pass<B>& pass, Rows<B> hidden, const MaskedBatch& batch, Saved& saved) const;

  /// logits [n, vocabulary] of states [n, d].
  void logits(const Pass<B>& pass, Rows<B> states, Rows<B> logits) const;

  /// Sums of the loss over the masked tokens of a batch, without gradients: waits for them.
  LossSum loss(const Pass<B>& pass, const MaskedBatch& batch, double smoothing, Saved& saved) const;

  /// Forward and backward: writes or adds the sums of the loss to `outcome` as `into` says, and adds
  /// gradient_scale · their gradients. For the gradient of a mean over N masked tokens, gradient_scale is 1/N. Throws
  /// ShapeError where the batch does not fit the model, and ConfigError for one that was made for inference.
  void loss_and_gradient(const Pass<B>& pass, const MaskedBatch& batch, double smoothing, double gradient_scale,
                         Into into, StepOutcome* outcome, Saved& saved);

 private:
  static constexpr int no_padding = -1;

  explicit Roberta(const RobertaConfig& config);  // without memory

  RobertaConfig config_;
  Embedding<B> words_, positions_, types_;
  LayerNorm<B> norm_;
  Dropout<B> dropout_;
  Encoder encoder_;
  MaskedLmHead<B> head_;
  ParameterStore<B> parameters_;
};

template <class B, class P>
Roberta<B, P>::Roberta(const RobertaConfig& config)
    : config_((config.validate(), with_type_names<B, P>(config))),
      words_(config.vocab_size, config.hidden_size, config.pad_token_id, config.initial()),
      positions_(config.max_position_embeddings, config.hidden_size, config.pad_token_id, config.initial()),
      types_(config.type_vocab_size, config.hidden_size, no_padding, config.initial()),
      norm_(config.hidden_size, config.layer_norm_eps),
      dropout_(config.hidden_dropout_prob),
      encoder_(config.num_hidden_layers, config.layer(), config.gradient_checkpointing),
      head_(config.hidden_size, config.vocab_size, config.layer_norm_eps, config.layer().initial),
      parameters_(ParameterStore<B>::outline(*this)) {}

template <class B, class P>
Roberta<B, P>::Roberta(B& backend, const RobertaConfig& config, std::optional<std::uint64_t> seed, Purpose purpose)
    : Roberta(config) {
  parameters_.allocate(backend, *this, purpose == Purpose::Training);
  if (seed) parameters_.initialise(*seed);
}

template <class B, class P>
void Roberta<B, P>::check(const MaskedBatch& batch) const {
  checks::ids("sequence's", batch.tokens.ids(), config_.vocab_size);
  checks::ids("masked", batch.labels, config_.vocab_size);
  int last = config_.pad_token_id;
  for (const int row : batch.position_rows) last = std::max(last, row);
  checks::length("sequence", last - config_.pad_token_id, config_.longest_sequence());
}

template <class B, class P>
Rows<B> Roberta<B, P>::encode(const Pass<B>& caller, const MaskedBatch& batch, Saved& saved) const {
  const auto pass = caller.at(batch.tokens.place());
  const auto sum = pass.saved.rows(batch.tokens.total(), config_.hidden_size);
  words_.forward(pass, batch.tokens.ids(), 1.0, Into::Write, sum);
  types_.forward(pass, batch.token_types, 1.0, Into::Add, sum);
  positions_.forward(pass, batch.position_rows, 1.0, Into::Add, sum);
  saved.embedding = dropout_.forward(pass, norm_.forward(pass, sum, saved.norm), saved.dropout);
  return encoder_.forward(pass, saved.embedding, saved.encoder, batch.tokens.offsets());
}

template <class B, class P>
Rows<B> Roberta<B, P>::masked_states(const Pass<B>& pass, Rows<B> hidden, const MaskedBatch& batch,
                                     Saved& saved) const {
  return head_.forward(pass, hidden, batch.masked_rows, saved.head);
}

template <class B, class P>
void Roberta<B, P>::logits(const Pass<B>& pass, Rows<B> states, Rows<B> logits) const {
  head_.output().logits(pass, words_.weight, states, logits);
}

template <class B, class P>
LossSum Roberta<B, P>::loss(const Pass<B>& pass, const MaskedBatch& batch, double smoothing, Saved& saved) const {
  check(batch);
  const auto states = masked_states(pass, encode(pass, batch, saved), batch, saved);
  return head_.output().loss(pass, words_.weight, states, batch.labels, smoothing);
}

template <class B, class P>
void Roberta<B, P>::loss_and_gradient(const Pass<B>& caller, const MaskedBatch& batch, double smoothing,
                                      double gradient_scale, Into into, StepOutcome* outcome, Saved& saved) {
  parameters_.require_gradients();
  check(batch);
  const auto pass = caller.at(batch.tokens.place());
  const auto hidden = encode(pass, batch, saved);
  const auto states = masked_states(pass, hidden, batch, saved);

  const auto mark = pass.scratch.mark();
  auto dy = pass.scratch.rows(hidden.rows, hidden.cols);
  pass.backend(ops::Fill<B>{.x = dy, .value = typename B::Scalar(0)});
  const auto dstates = pass.scratch.rows(states.rows, states.cols);
  head_.output().loss_and_gradient(pass, words_.weight, states, batch.labels, smoothing, gradient_scale, dstates, into,
                                   outcome);
  head_.backward(pass, dstates, batch.masked_rows, saved.head, dy);
  dy = encoder_.backward(pass, mark, dy, saved.encoder, batch.tokens.offsets());

  pass.backend(ops::Dropout<B>{.x = dy, .mask = saved.dropout.mask, .y = dy});
  dy = norm_.backward(pass, dy, saved.norm);
  words_.backward(pass, dy, batch.tokens.ids(), 1.0);
  types_.backward(pass, dy, batch.token_types, 1.0);
  positions_.backward(pass, dy, batch.position_rows, 1.0);
}

}  // namespace neural_attention
