// The sizes and rates of a Marian model, under the names of Hugging Face's config.json.
#pragma once

#include <cmath>
#include <string>

#include "neural_attention/models/checks.hpp"
#include "neural_attention/models/layers.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention {

/// The roles are its projectors: their expansion, and the type where the projector is a Choice.
struct MarianConfig : Roles<ProjectorConfig> {
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
  bool normalize_before = false;        ///< pre-norm layers, with a LayerNorm behind each stack
  bool gradient_checkpointing = false;  ///< recompute each layer in the backward pass
  std::string other_keys = {};  ///< what a config.json says beyond these, as a JSON object: written again when saved

  /// field(key, member) for every key of config.json that is a member.
  static void visit(auto& self, auto&& field) {
    field("vocab_size", self.vocab_size);
    field("d_model", self.d_model);
    field("encoder_layers", self.encoder_layers);
    field("decoder_layers", self.decoder_layers);
    field("encoder_attention_heads", self.encoder_attention_heads);
    field("decoder_attention_heads", self.decoder_attention_heads);
    field("encoder_ffn_dim", self.encoder_ffn_dim);
    field("decoder_ffn_dim", self.decoder_ffn_dim);
    field("max_position_embeddings", self.max_position_embeddings);
    field("activation_function", self.activation_function);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("activation_dropout", self.activation_dropout);
    field("scale_embedding", self.scale_embedding);
    field("init_std", self.init_std);
    field("pad_token_id", self.pad_token_id);
    field("eos_token_id", self.eos_token_id);
  }

  /// Throws ConfigError naming the first value that makes no sense.
  void validate() const {
    checks::sizes(*this);
    checks::heads("encoder_attention_heads", d_model, encoder_attention_heads);
    checks::heads("decoder_attention_heads", d_model, decoder_attention_heads);
    checks::expansions(*this, d_model);
    checks::token("pad_token_id", pad_token_id, vocab_size);
    checks::token("eos_token_id", eos_token_id, vocab_size);
    checks::rates(*this);
  }

  Initial embedding_initial() const {
    return Initial::normal(xavier_init ? 1.0 / std::sqrt(double(d_model)) : init_std);
  }
  LayerConfig encoder_layer() const { return layer(encoder_attention_heads, encoder_ffn_dim); }
  LayerConfig decoder_layer() const { return layer(decoder_attention_heads, decoder_ffn_dim); }

 private:
  LayerConfig layer(int heads, int d_ff) const {
    const WeightInitial initial{xavier_init, init_std};
    LayerConfig layer;
    layer.attention = attention_config(d_model, heads, attention_dropout, *this, initial);
    layer.d_ff = d_ff;
    layer.activation = activation_function;
    layer.dropout = dropout;
    layer.activation_dropout = activation_dropout;
    layer.norm_place = normalize_before ? NormPlace::Pre : NormPlace::Post;
    layer.initial = initial;
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
