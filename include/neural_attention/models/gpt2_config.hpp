// The sizes and rates of a GPT-2 model, under the names of Hugging Face's config.json.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "neural_attention/attention/projector_names.hpp"
#include "neural_attention/models/checks.hpp"
#include "neural_attention/models/layers.hpp"
#include "neural_attention/nn/roles.hpp"

namespace neural_attention {

/// The roles are its projectors: their hidden width, and the type if the projector is a Choice. Single layers of
/// `decoder`, the only attentions of the model, may have others.
struct Gpt2Config : ModelProjectors {
  int vocab_size = 50257;
  int max_position_embeddings = 1024;  ///< in files n_positions
  int n_embd = 768;
  int n_layer = 12;
  int n_head = 12;
  int n_inner = 0;  ///< hidden width of the feed-forward networks; 0, in files null: 4 · n_embd
  Activation activation_function = Activation::GeluTanh;
  double resid_pdrop = 0.1;
  double embd_pdrop = 0.1;
  double attn_pdrop = 0.1;
  double layer_norm_epsilon = 1e-5;
  double initializer_range = 0.02;
  bool scale_attn_weights = true;                ///< scores are divided by the root of a head's width
  bool scale_attn_by_inverse_layer_idx = false;  ///< scores of layer i also by i + 1
  int bos_token_id = 50256;                      ///< -1, in files null, if there is no such token
  int eos_token_id = 50256;                      ///< likewise
  int pad_token_id = -1;                         ///< likewise
  bool bias = true;                              ///< of linear maps and of LayerNorm; nanoGPT may do without
  bool gradient_checkpointing = false;           ///< recompute each layer in the backward pass
  AttentionOptions attention = {};
  std::string other_keys = {};  ///< a config.json's further keys, as a JSON object; saving writes them again

  /// It continues a text, which need not end.
  static constexpr bool continues_texts = true;

  /// Every key of config.json that is a member here, and gradient_checkpointing.
  static void knobs(auto&& use, auto&... configs) {
    use(Knob("vocab_size", "Entries of the vocabulary", at_least(1)), configs.vocab_size...);
    use(Knob("n_positions", "Most tokens of a sequence", at_least(1)), configs.max_position_embeddings...);
    use(Knob("n_embd", "Width of the model", at_least(1)).flag("Model").shapes_weights(), configs.n_embd...);
    use(Knob("n_layer", "Layers", checks::layers).flag("Model").shapes_weights(), configs.n_layer...);
    use(Knob("n_head", "Attention heads of each layer", at_least(1)).flag("Model").shapes_weights(), configs.n_head...);
    use(Knob("n_inner", "Hidden width of the feed-forward networks; null: 4 n_embd", at_least(0)).null_means(0),
        configs.n_inner...);
    use(Knob("activation_function", "Activation of the feed-forward networks; gelu is the exact one").flag("Model"),
        configs.activation_function...);
    use(Knob("resid_pdrop", "Dropout of sums", checks::rate), configs.resid_pdrop...);
    use(Knob("embd_pdrop", "Dropout of embeddings", checks::rate), configs.embd_pdrop...);
    use(Knob("attn_pdrop", "Dropout of attention probabilities", checks::rate), configs.attn_pdrop...);
    use(Knob("layer_norm_epsilon", "Added to the variance in LayerNorm", at_least(0)), configs.layer_norm_epsilon...);
    use(Knob("initializer_range",
             "Standard deviation of initial weights; linear maps in front of a sum begin smaller, by the root of twice "
             "the layers",
             at_least(0)),
        configs.initializer_range...);
    use(Knob("scale_attn_weights", "Divide the scores of attention by the root of a head's width"),
        configs.scale_attn_weights...);
    use(Knob("scale_attn_by_inverse_layer_idx", "Divide the scores of layer i, the first being 1, by i"),
        configs.scale_attn_by_inverse_layer_idx...);
    use(token_knob("bos_token_id", "The beginning of a text, or null").null_means(-1), configs.bos_token_id...);
    use(token_knob("eos_token_id", "The end of a text, or null").null_means(-1), configs.eos_token_id...);
    use(token_knob("pad_token_id", "Padding, or null").null_means(-1), configs.pad_token_id...);
    use(Knob("bias", "Biases of linear maps and of LayerNorm")
            .not_of_hugging_face()
            .left_out_if_usual()
            .flag("Model")
            .shapes_weights(),
        configs.bias...);
    use(model_knobs::gradient_checkpointing, configs.gradient_checkpointing...);
    AttentionOptions::knobs(use, configs.attention...);
  }

  /// Throws ConfigError naming the first value that makes no sense.
  void validate() const {
    checks::knobs(*this);
    checks::heads("n_head", n_embd, n_head, attention);
    checks::hidden_widths(*this, n_embd);
    checks::layer_projectors(*this);
    checks::value_residual(attention, {n_layer});
    const bool own_scale = attention.scale > 0.0 || attention.qk_norm == QueryKeyNorm::L2;
    const auto refuse = [&](const char* name, bool given) {
      throw ConfigError(std::string(name) + " is " + (given ? "true" : "false") +
                        ", but attention_scale or qk_norm l2 sets the factor on the scores");
    };
    if (own_scale && !scale_attn_weights) refuse("scale_attn_weights", false);
    if (own_scale && scale_attn_by_inverse_layer_idx) refuse("scale_attn_by_inverse_layer_idx", true);
  }

  std::vector<AttentionPlace> attention_places() const { return {{"decoder", n_layer}}; }

  void set_feed_forward_width(int width) { n_inner = width; }
  int feed_forward_width() const {
    if (n_inner > 0) return n_inner;
    return sizes::checked("a feed-forward network four times as wide as n_embd " + std::to_string(n_embd),
                          sizes::product(4, n_embd), "hidden columns", sizes::product(n_embd, sizeof(float)));
  }

  Initial initial() const { return Initial::normal(initializer_range); }
  LayerConfig layer(int i = 0) const {
    const WeightInitial weights{false, initializer_range};
    const WeightInitial in_front_of_sum{false, initializer_range / std::sqrt(2.0 * n_layer)};
    LayerConfig layer;
    layer.attention =
        attention_config(n_embd, n_head, attn_pdrop, projectors_at(*this, "decoder", i), weights, attention_at(i));
    for_each_role([&](const char*, ProjectorConfig& projector) { projector.bias = bias; }, layer.attention);
    auto& last = layer.attention.output;  // of a projector with several maps, all keep their size
    if (is_one_linear_map(last.type)) last.initial = in_front_of_sum;
    layer.d_ff = feed_forward_width();
    layer.activation = activation_function;
    layer.dropout = resid_pdrop;
    layer.input_dropout = embd_pdrop;
    layer.norm_eps = layer_norm_epsilon;
    layer.norm_place = NormPlace::Pre;
    layer.initial = weights;
    layer.outer_initial = in_front_of_sum;
    layer.bias = bias;
    return layer;
  }

 private:
  AttentionOptions attention_at(int i) const {
    auto options = attention;
    if (!scale_attn_weights) options.scale = 1.0;
    if (scale_attn_by_inverse_layer_idx) options.scale = options.first_scale(n_embd / n_head) / (i + 1);
    return options;
  }
};

/// The sizes of the smallest GPT-2: 12 layers, width 768, 12 heads, 1024 tokens.
inline Gpt2Config gpt2_base(int vocabulary = 50257) {
  Gpt2Config config;
  config.vocab_size = vocabulary;
  config.bos_token_id = config.eos_token_id = vocabulary - 1;
  return config;
}

/// A model for some million tokens on a CPU: 4 layers, width 256, 4 heads, 128 tokens.
inline Gpt2Config gpt2_small(int vocabulary) {
  auto config = gpt2_base(vocabulary);
  config.n_embd = 256;
  config.n_layer = config.n_head = 4;
  config.max_position_embeddings = 128;
  return config;
}

}  // namespace neural_attention
