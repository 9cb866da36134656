// The sizes and rates of a RoBERTa model, under the names of Hugging Face's config.json.
#pragma once

#include <string>
#include <vector>

#include "neural_attention/models/checks.hpp"
#include "neural_attention/models/layers.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention {

/// The roles are its projectors: their hidden width, and the type if the projector is a Choice. Single layers of
/// `encoder`, the only attentions of the model, may have others.
struct RobertaConfig : ModelProjectors {
  int vocab_size = 50265;
  int hidden_size = 768;
  int num_hidden_layers = 12;
  int num_attention_heads = 12;
  int intermediate_size = 3072;
  Activation hidden_act = Activation::Gelu;
  double hidden_dropout_prob = 0.1;
  double attention_probs_dropout_prob = 0.1;
  int max_position_embeddings = 514;  ///< rows of the table: the most tokens of a sequence plus pad_token_id + 1
  int type_vocab_size = 1;
  double initializer_range = 0.02;
  double layer_norm_eps = 1e-5;
  int bos_token_id = 0;
  int pad_token_id = 1;
  int eos_token_id = 2;
  bool normalize_before = false;        ///< pre-norm layers, with a LayerNorm after the last one
  bool gradient_checkpointing = false;  ///< recompute each layer in the backward pass
  AttentionOptions attention = {};
  std::string other_keys = {};  ///< a config.json's further keys, as a JSON object; saving writes them again

  /// The most tokens of a sequence, <s> and </s> included.
  int longest_sequence() const { return max_position_embeddings - pad_token_id - 1; }

  /// Every key of config.json that is a member here, and gradient_checkpointing.
  static void knobs(auto&& use, auto&... configs) {
    use(Knob("vocab_size", "Entries of the vocabulary", at_least(1)), configs.vocab_size...);
    use(Knob("hidden_size", "Width of the model", at_least(1)), configs.hidden_size...);
    use(Knob("num_hidden_layers", "Layers", checks::layers), configs.num_hidden_layers...);
    use(Knob("num_attention_heads", "Attention heads of each layer", at_least(1)), configs.num_attention_heads...);
    use(Knob("intermediate_size", "Hidden width of the feed-forward networks", at_least(1)),
        configs.intermediate_size...);
    use(Knob("max_position_embeddings",
             "Rows of the position table: the most tokens of a sequence plus pad_token_id + 1", at_least(1)),
        configs.max_position_embeddings...);
    use(Knob("type_vocab_size", "Rows of the table of token types, of which the first is used", at_least(1)),
        configs.type_vocab_size...);
    use(Knob("hidden_act", "Activation of the feed-forward networks and the head"), configs.hidden_act...);
    use(Knob("hidden_dropout_prob", "Dropout of sums, embeddings included", checks::rate),
        configs.hidden_dropout_prob...);
    use(Knob("attention_probs_dropout_prob", "Dropout of attention probabilities", checks::rate),
        configs.attention_probs_dropout_prob...);
    use(Knob("layer_norm_eps", "Added to the variance in LayerNorm", at_least(0)), configs.layer_norm_eps...);
    use(Knob("initializer_range", "Standard deviation of initial weights", at_least(0)), configs.initializer_range...);
    use(token_knob("bos_token_id", "The beginning of a sequence"), configs.bos_token_id...);
    use(token_knob("pad_token_id", "Padding"), configs.pad_token_id...);
    use(token_knob("eos_token_id", "The end of a sequence"), configs.eos_token_id...);
    use(model_knobs::normalize_before, configs.normalize_before...);
    use(model_knobs::gradient_checkpointing, configs.gradient_checkpointing...);
    AttentionOptions::knobs(use, configs.attention...);
  }

  /// Throws ConfigError naming the first value that makes no sense.
  void validate() const {
    checks::knobs(*this);
    checks::heads("num_attention_heads", hidden_size, num_attention_heads, attention);
    checks::hidden_widths(*this, hidden_size);
    checks::layer_projectors(*this);
    checks::value_residual(attention, {num_hidden_layers});
    if (longest_sequence() < 1)
      throw ConfigError("max_position_embeddings is " + std::to_string(max_position_embeddings) +
                        ", but the first position is row " + std::to_string(pad_token_id + 1));
  }

  std::vector<AttentionPlace> attention_places() const { return {{"encoder", num_hidden_layers}}; }

  void set_feed_forward_width(int width) { intermediate_size = width; }

  Initial initial() const { return Initial::normal(initializer_range); }
  LayerConfig layer(int i = 0) const {
    const WeightInitial weights{false, initializer_range};
    LayerConfig layer;
    layer.attention = attention_config(hidden_size, num_attention_heads, attention_probs_dropout_prob,
                                       projectors_at(*this, "encoder", i), weights, attention);
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
