// The sizes and rates of a RoBERTa model, under the names of Hugging Face's config.json.
#pragma once

#include <string>

#include "neural_attention/models/checks.hpp"
#include "neural_attention/models/layers.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention {

/// The roles are its projectors: their expansion, and the type where the projector is a Choice.
struct RobertaConfig : Roles<ProjectorConfig> {
  int vocab_size = 50265;
  int hidden_size = 768;
  int num_hidden_layers = 12;
  int num_attention_heads = 12;
  int intermediate_size = 3072;
  Activation hidden_act = Activation::Gelu;
  double hidden_dropout_prob = 0.1;
  double attention_probs_dropout_prob = 0.1;
  int max_position_embeddings = 514;  ///< rows of the table: pad_token_id + 1 more than a sequence may have tokens
  int type_vocab_size = 1;
  double initializer_range = 0.02;
  double layer_norm_eps = 1e-5;
  int bos_token_id = 0;
  int pad_token_id = 1;
  int eos_token_id = 2;
  bool normalize_before = false;        ///< pre-norm layers, with a LayerNorm behind the last one
  bool gradient_checkpointing = false;  ///< recompute each layer in the backward pass
  std::string other_keys = {};  ///< what a config.json says beyond these, as a JSON object: written again when saved

  /// The most tokens of a sequence, <s> and </s> included.
  int longest_sequence() const { return max_position_embeddings - pad_token_id - 1; }

  /// field(key, member) for every key of config.json that is a member.
  static void visit(auto& self, auto&& field) {
    field("vocab_size", self.vocab_size);
    field("hidden_size", self.hidden_size);
    field("num_hidden_layers", self.num_hidden_layers);
    field("num_attention_heads", self.num_attention_heads);
    field("intermediate_size", self.intermediate_size);
    field("max_position_embeddings", self.max_position_embeddings);
    field("type_vocab_size", self.type_vocab_size);
    field("hidden_act", self.hidden_act);
    field("hidden_dropout_prob", self.hidden_dropout_prob);
    field("attention_probs_dropout_prob", self.attention_probs_dropout_prob);
    field("layer_norm_eps", self.layer_norm_eps);
    field("initializer_range", self.initializer_range);
    field("bos_token_id", self.bos_token_id);
    field("pad_token_id", self.pad_token_id);
    field("eos_token_id", self.eos_token_id);
  }

  /// Throws ConfigError naming the first value that makes no sense.
  void validate() const {
    checks::sizes(*this);
    checks::heads("num_attention_heads", hidden_size, num_attention_heads);
    checks::expansions(*this, hidden_size);
    checks::token("bos_token_id", bos_token_id, vocab_size);
    checks::token("pad_token_id", pad_token_id, vocab_size);
    checks::token("eos_token_id", eos_token_id, vocab_size);
    checks::rates(*this);
    if (longest_sequence() < 1)
      throw ConfigError("max_position_embeddings is " + std::to_string(max_position_embeddings) +
                        ", but the first position is row " + std::to_string(pad_token_id + 1));
  }

  Initial initial() const { return Initial::normal(initializer_range); }
  LayerConfig layer() const {
    const WeightInitial weights{false, initializer_range};
    LayerConfig layer;
    layer.attention = attention_config(hidden_size, num_attention_heads, attention_probs_dropout_prob, *this, weights);
    layer.d_ff = intermediate_size;
    layer.activation = hidden_act;
    layer.dropout = hidden_dropout_prob;
    layer.norm_eps = layer_norm_eps;
    layer.norm_place = normalize_before ? NormPlace::Pre : NormPlace::Post;
    layer.initial = weights;
    return layer;
  }
};

/// The sizes of roberta-base: 12 layers, width 768, 12 heads.
inline RobertaConfig roberta_base(int vocabulary = 50265) {
  RobertaConfig config;
  config.vocab_size = vocabulary;
  return config;
}

/// A model for some million tokens on a CPU: 4 layers, width 256, 4 heads, 128 tokens.
inline RobertaConfig roberta_small(int vocabulary) {
  auto config = roberta_base(vocabulary);
  config.hidden_size = 256;
  config.num_hidden_layers = config.num_attention_heads = 4;
  config.intermediate_size = 1024;
  config.max_position_embeddings = 130;
  return config;
}

}  // namespace neural_attention
