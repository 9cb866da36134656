// GPT-2: the causal language model of Hugging Face's GPT2LMHeadModel with any projectors.
// x = drop(E[ids] + P[positions]); pre-norm layers; LayerNorm; logits = h Eᵀ. Packed batches.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "neural_attention/core/causal_batch.hpp"
#include "neural_attention/core/file_layout.hpp"
#include "neural_attention/models/bodies.hpp"
#include "neural_attention/models/generative_model.hpp"
#include "neural_attention/models/gpt2_config.hpp"
#include "neural_attention/models/tied_lm_head.hpp"

namespace neural_attention {

template <class B, class P>
class Gpt2 : public GenerativeModel<Gpt2<B, P>, Gpt2Config, DecoderBody<B, P, LearnedInput<B, Gpt2Names>, Gpt2Names>,
                                    TiedLmHead<B, NoBias>, CausalBatch> {
  using Base = typename Gpt2::GenerativeModel;

 public:
  using typename Base::Parts, typename Base::Saved;

  /// Initial weights follow from `seed`; without one (std::nullopt) they are zero, to be loaded. Throws ConfigError if
  /// the sizes make no sense.
  Gpt2(B& backend, const Gpt2Config& config, std::optional<std::uint64_t> seed = 42,
       Purpose purpose = Purpose::Training);

  /// Without memory: all that it can do is to say its config and its parameters' names and shapes.
  explicit Gpt2(const Gpt2Config& config);

  static Parts parts(const Gpt2Config& config) {
    constexpr int no_padding = -1;
    const auto table = [&](int rows) { return Embedding<B>(rows, config.n_embd, no_padding, config.initial()); };
    return {"transformer",
            {{table(config.vocab_size), table(config.max_position_embeddings)},
             layer_configs(config.n_layer, [&](int i) { return config.layer(i); }),
             config.gradient_checkpointing},
            "lm_head",
            TiedLmHead<B, NoBias>({config.vocab_size})};
  }

  /// Hugging Face's Conv1D, and c_attn for the three maps of an attention.
  static constexpr std::array<StoredMap, 4> stored_maps = {
      {{"attn.c_attn", {"q_proj", "k_proj", "v_proj"}}, {"attn.c_proj"}, {"mlp.c_fc"}, {"mlp.c_proj"}}};
  static constexpr FileLayout file_layout = {"transformer.", stored_maps};

  /// How Hugging Face's files may differ: {other name, name} of the tied matrix, and the masks of old files, which are
  /// no parameters (patterns).
  static constexpr std::array<std::array<std::string_view, 2>, 1> aliases = {
      {{"lm_head.weight", "transformer.wte.weight"}}};
  static constexpr std::array<std::string_view, 2> ignored_names = {"*.attn.bias", "*.attn.masked_bias"};

  /// The last layer's output after the LayerNorm [tokens, d].
  Rows<B> decode(const Pass<B>& pass, const CausalBatch& batch, Saved& saved) const;
};

template <class B, class P>
Gpt2<B, P>::Gpt2(B& backend, const Gpt2Config& config, std::optional<std::uint64_t> seed, Purpose purpose)
    : Base(backend, config, seed, purpose) {}

template <class B, class P>
Gpt2<B, P>::Gpt2(const Gpt2Config& config) : Base(config) {}

template <class B, class P>
Rows<B> Gpt2<B, P>::decode(const Pass<B>& pass, const CausalBatch& batch, Saved& saved) const {
  return this->body().forward(pass, batch, saved.body);
}

}  // namespace neural_attention
