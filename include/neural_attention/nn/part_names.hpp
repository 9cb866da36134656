// What the parts of transformer layers and of their stacks are called in files. Models of one architecture and
// different names share their code; the names come as a type.
#pragma once

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// As Hugging Face's Marian and its pre-norm relative Pegasus, which follow BART.
struct BartNames {
  static constexpr const char* embeddings = "";
  static constexpr const char* words = "embed_tokens";
  static constexpr const char* positions = "embed_positions";
  static constexpr const char* input_dropout = "dropout";

  static constexpr const char* query = "q_proj";
  static constexpr const char* key = "k_proj";
  static constexpr const char* value = "v_proj";
  static constexpr const char* output = "out_proj";
  static constexpr const char* query_norm = "q_norm";
  static constexpr const char* key_norm = "k_norm";
  static constexpr const char* attention_scale = "scale";
  static constexpr const char* gate = "gate_proj";
  static constexpr const char* value_residual = "value_residual";
  static constexpr const char* joint = "qkv_proj";
  static constexpr const char* attention_dropout = "dropout";

  static constexpr const char* attention = "self_attn";
  static constexpr const char* attention_post_norm = "self_attn_layer_norm";
  static constexpr const char* attention_pre_norm = "self_attn_layer_norm";
  static constexpr const char* cross_attention = "encoder_attn";
  static constexpr const char* cross_attention_norm = "encoder_attn_layer_norm";
  static constexpr const char* inner = "fc1";
  static constexpr const char* outer = "fc2";
  static constexpr const char* activation_dropout = "activation_dropout";
  static constexpr const char* final_post_norm = "final_layer_norm";
  static constexpr const char* final_pre_norm = "final_layer_norm";

  static constexpr const char* layers = "layers";
  static constexpr const char* stack_norm = "layer_norm";
};

/// As Hugging Face's RoBERTa, which follows BERT, and its RobertaPreLayerNorm.
struct BertNames {
  static constexpr const char* embeddings = "embeddings";
  static constexpr const char* words = "word_embeddings";
  static constexpr const char* positions = "position_embeddings";
  static constexpr const char* input_dropout = "embeddings.dropout";

  static constexpr const char* query = "self.query";
  static constexpr const char* key = "self.key";
  static constexpr const char* value = "self.value";
  static constexpr const char* output = "output.dense";
  static constexpr const char* query_norm = "self.q_norm";
  static constexpr const char* key_norm = "self.k_norm";
  static constexpr const char* attention_scale = "self.scale";
  static constexpr const char* gate = "self.gate_proj";
  static constexpr const char* value_residual = "self.value_residual";
  static constexpr const char* joint = "self.qkv";
  static constexpr const char* attention_dropout = "self.dropout";

  static constexpr const char* attention = "attention";
  static constexpr const char* attention_post_norm = "attention.output.LayerNorm";
  static constexpr const char* attention_pre_norm = "attention.LayerNorm";
  static constexpr const char* inner = "intermediate.dense";
  static constexpr const char* outer = "output.dense";
  static constexpr const char* activation_dropout = "intermediate.dropout";
  static constexpr const char* final_post_norm = "output.LayerNorm";
  static constexpr const char* final_pre_norm = "intermediate.LayerNorm";

  static constexpr const char* layers = "encoder.layer";
  static constexpr const char* stack_norm = "LayerNorm";
};

/// As Hugging Face's GPT-2. It has the three maps of an attention in one, c_attn, whose parts have names of their own
/// here and, unless all of them are linear, in files.
struct Gpt2Names {
  static constexpr const char* embeddings = "";
  static constexpr const char* words = "wte";
  static constexpr const char* positions = "wpe";
  static constexpr const char* input_dropout = "drop";

  static constexpr const char* query = "c_attn.q_proj";
  static constexpr const char* key = "c_attn.k_proj";
  static constexpr const char* value = "c_attn.v_proj";
  static constexpr const char* output = "c_proj";
  static constexpr const char* query_norm = "q_norm";
  static constexpr const char* key_norm = "k_norm";
  static constexpr const char* attention_scale = "scale";
  static constexpr const char* gate = "gate_proj";
  static constexpr const char* value_residual = "value_residual";
  static constexpr const char* joint = "c_attn.qkv_proj";
  static constexpr const char* attention_dropout = "attn_dropout";

  static constexpr const char* attention = "attn";
  static constexpr const char* attention_post_norm = "ln_1";
  static constexpr const char* attention_pre_norm = "ln_1";
  static constexpr const char* inner = "mlp.c_fc";
  static constexpr const char* outer = "mlp.c_proj";
  static constexpr const char* activation_dropout = "mlp.activation_dropout";
  static constexpr const char* final_post_norm = "ln_2";
  static constexpr const char* final_pre_norm = "ln_2";

  static constexpr const char* layers = "h";
  static constexpr const char* stack_norm = "ln_f";
};

}  // namespace neural_attention
