// The sizes and rates of a Marian model, under the names of Hugging Face's config.json.
#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/models/checks.hpp"
#include "neural_attention/models/layers.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention {

/// The roles are its projectors: their hidden width, and the type if the projector is a Choice. Single layers of
/// `encoder`, `decoder` and `cross`, the decoder's attention to the encoder's output, may have others.
struct MarianConfig : ModelProjectors {
  int vocab_size = 0;
  int d_model = 512;
  int encoder_layers = 6;
  int decoder_layers = 6;
  int encoder_attention_heads = 8;
  int decoder_attention_heads = 8;
  int encoder_ffn_dim = 2048;
  int decoder_ffn_dim = 2048;
  int max_position_embeddings = 512;
  Activation activation_function = Activation::Silu;
  double dropout = 0.1;
  double attention_dropout = 0.0;
  double activation_dropout = 0.0;
  bool scale_embedding = true;
  double init_std = 0.02;
  bool xavier_init = false;  ///< Xavier-uniform matrices and embeddings N(0, 1/d), which suit training from nothing
  int pad_token_id = -1;     ///< also what starts the decoder
  int eos_token_id = 0;
  bool normalize_before = false;        ///< pre-norm layers, with a LayerNorm after each stack
  bool gradient_checkpointing = false;  ///< recompute each layer in the backward pass
  AttentionOptions attention = {};
  std::string other_keys = {};  ///< a config.json's further keys, as a JSON object; saving writes them again

  /// Every key of config.json that is a member here, and gradient_checkpointing.
  static void knobs(auto&& use, auto&... configs) {
    use(Knob("vocab_size", "Entries of the joint vocabulary", at_least(1)), configs.vocab_size...);
    use(Knob("d_model", "Width of the model", at_least(1)), configs.d_model...);
    use(Knob("encoder_layers", "Layers of the encoder", checks::layers), configs.encoder_layers...);
    use(Knob("decoder_layers", "Layers of the decoder", checks::layers), configs.decoder_layers...);
    use(Knob("encoder_attention_heads", "Attention heads of each encoder layer", at_least(1)),
        configs.encoder_attention_heads...);
    use(Knob("decoder_attention_heads", "Attention heads of each decoder layer", at_least(1)),
        configs.decoder_attention_heads...);
    use(Knob("encoder_ffn_dim", "Hidden width of the encoder's feed-forward networks", at_least(1)),
        configs.encoder_ffn_dim...);
    use(Knob("decoder_ffn_dim", "Hidden width of the decoder's feed-forward networks", at_least(1)),
        configs.decoder_ffn_dim...);
    use(Knob("max_position_embeddings", "Most tokens of a sentence", at_least(1)), configs.max_position_embeddings...);
    use(Knob("activation_function", "Activation of the feed-forward networks"), configs.activation_function...);
    use(Knob("dropout", "Dropout of sums, embeddings included", checks::rate), configs.dropout...);
    use(Knob("attention_dropout", "Dropout of attention probabilities", checks::rate), configs.attention_dropout...);
    use(Knob("activation_dropout", "Dropout after the activation", checks::rate), configs.activation_dropout...);
    use(Knob("scale_embedding", "Multiply embeddings by the root of d_model"), configs.scale_embedding...);
    use(Knob("init_std", "Standard deviation of initial weights", at_least(0)), configs.init_std...);
    use(token_knob("pad_token_id", "Padding; the decoder starts with it"), configs.pad_token_id...);
    use(token_knob("eos_token_id", "The end of a sentence"), configs.eos_token_id...);
    use(Knob("xavier_init", "Initial weights are Xavier-uniform, embeddings N(0, 1/d_model)").not_of_hugging_face(),
        configs.xavier_init...);
    use(model_knobs::normalize_before, configs.normalize_before...);
    use(model_knobs::gradient_checkpointing, configs.gradient_checkpointing...);
    AttentionOptions::knobs(use, configs.attention...);
  }

  /// Throws ConfigError naming the first value that makes no sense.
  void validate() const {
    checks::knobs(*this);
    checks::heads("encoder_attention_heads", d_model, encoder_attention_heads, attention);
    checks::heads("decoder_attention_heads", d_model, decoder_attention_heads, attention);
    checks::hidden_widths(*this, d_model);
    checks::layer_projectors(*this);
    checks::value_residual(attention, {encoder_layers, decoder_layers});
  }

  std::vector<AttentionPlace> attention_places() const {
    return {{"encoder", encoder_layers}, {"decoder", decoder_layers}, {"cross", decoder_layers}};
  }

  /// Of the feed-forward networks of both stacks.
  void set_feed_forward_width(int width) { encoder_ffn_dim = decoder_ffn_dim = width; }

  Initial embedding_initial() const {
    return Initial::normal(xavier_init ? 1.0 / std::sqrt(double(d_model)) : init_std);
  }
  LayerConfig encoder_layer(int i = 0) const {
    return layer(attention_at("encoder", i, encoder_attention_heads), encoder_ffn_dim);
  }
  LayerConfig decoder_layer(int i = 0) const {
    auto result = layer(attention_at("decoder", i, decoder_attention_heads), decoder_ffn_dim);
    result.cross_attention = attention_at("cross", i, decoder_attention_heads);
    return result;
  }

 private:
  AttentionConfig attention_at(std::string_view place, int i, int heads) const {
    return attention_config(d_model, heads, attention_dropout, projectors_at(*this, place, i), {xavier_init, init_std},
                            attention);
  }
  LayerConfig layer(AttentionConfig of_layer, int d_ff) const {
    LayerConfig layer;
    layer.attention = std::move(of_layer);
    layer.d_ff = d_ff;
    layer.activation = activation_function;
    layer.dropout = dropout;
    layer.activation_dropout = activation_dropout;
    layer.norm_place = normalize_before ? NormPlace::Pre : NormPlace::Post;
    layer.initial = {xavier_init, init_std};
    return layer;
  }
};

/// The sizes of Helsinki-NLP's opus-mt models: 6 + 6 layers, d 512, 8 heads. Token ids as theirs: </s> 0, <pad> last.
inline MarianConfig marian_base(int vocabulary) {
  MarianConfig config;
  config.vocab_size = vocabulary;
  config.pad_token_id = vocabulary - 1;
  return config;
}

/// A model for some ten thousand sentence pairs on a CPU: 3 + 3 layers, d 256, 4 heads.
inline MarianConfig marian_small(int vocabulary) {
  auto config = marian_base(vocabulary);
  config.d_model = 256;
  config.encoder_layers = config.decoder_layers = 3;
  config.encoder_attention_heads = config.decoder_attention_heads = 4;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 512;
  config.max_position_embeddings = 256;
  config.xavier_init = true;
  return config;
}

}  // namespace neural_attention
