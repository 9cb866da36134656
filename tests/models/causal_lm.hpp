// A causal language model of the library's parts: learned positions, pre-norm layers, a head that shares the
// embedding's matrix.
#pragma once

#include <string>

#include "neural_attention/core/causal_batch.hpp"
#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/models/bodies.hpp"
#include "neural_attention/models/generative_model.hpp"
#include "neural_attention/models/tied_lm_head.hpp"

namespace own {

namespace na = neural_attention;

struct CausalLmConfig : na::Roles<na::ProjectorConfig> {
  int vocab_size = 0;
  int d_model = 32;
  int layers = 2;
  int heads = 4;
  int d_ff = 64;
  int max_position_embeddings = 24;
  double dropout = 0.0;
  double init_std = 0.02;
  int pad_token_id = 0;
  int eos_token_id = 0;
  bool normalize_before = true;
  na::AttentionOptions attention = {};
  std::string other_keys = {};

  static void knobs(auto&& use, auto&... configs) {
    use(na::Knob("vocab_size", "Entries of the vocabulary", na::at_least(1)), configs.vocab_size...);
    use(na::Knob("d_model", "Width of the model", na::at_least(1)), configs.d_model...);
    use(na::Knob("num_layers", "Layers", na::checks::layers), configs.layers...);
    use(na::Knob("num_heads", "Heads of an attention", na::at_least(1)), configs.heads...);
    use(na::Knob("d_ff", "Hidden width of the feed-forward parts", na::at_least(1)), configs.d_ff...);
    use(na::Knob("max_position_embeddings", "Tokens at most", na::at_least(1)), configs.max_position_embeddings...);
    use(na::Knob("dropout", "Dropout of sums", na::checks::rate), configs.dropout...);
    use(na::Knob("init_std", "Standard deviation of first weights", na::at_least(0)), configs.init_std...);
    use(na::token_knob("pad_token_id", "Padding"), configs.pad_token_id...);
    use(na::token_knob("eos_token_id", "The end of a text"), configs.eos_token_id...);
    use(na::Knob("normalize_before", "Pre-norm layers"), configs.normalize_before...);
    na::AttentionOptions::knobs(use, configs.attention...);
  }
  void validate() const {
    na::checks::knobs(*this);
    na::checks::heads("num_heads", d_model, heads, attention);
    na::checks::hidden_widths(*this, d_model);
    na::checks::value_residual(attention, {layers});
  }

  na::LayerConfig layer() const {
    const na::WeightInitial initial{false, init_std};
    na::LayerConfig layer;
    layer.attention = na::attention_config(d_model, heads, dropout, *this, initial, attention);
    layer.d_ff = d_ff;
    layer.activation = na::Activation::Gelu;
    layer.dropout = dropout;
    layer.norm_place = normalize_before ? na::NormPlace::Pre : na::NormPlace::Post;
    layer.initial = initial;
    return layer;
  }
};

template <class B, class P>
class CausalLm : public na::GenerativeModel<CausalLm<B, P>, CausalLmConfig, na::DecoderBody<B, P, na::LearnedInput<B>>,
                                            na::TiedLmHead<B>, na::CausalBatch> {
  using Base = typename CausalLm::GenerativeModel;

 public:
  using Base::Base;

  static typename Base::Parts parts(const CausalLmConfig& config) {
    const auto table = [&](int rows) {
      constexpr int no_padding = -1;
      return na::Embedding<B>(rows, config.d_model, no_padding, na::Initial::normal(config.init_std));
    };
    return {"decoder",
            {{table(config.vocab_size), table(config.max_position_embeddings)}, config.layers, config.layer()},
            "logits_bias",
            na::TiedLmHead<B>(na::Buffer<B>(config.vocab_size, na::Initial::constant(0.0)))};
  }
};

}  // namespace own

template <>
struct neural_attention::io::ConfigKeys<own::CausalLmConfig> : OwnConfigKeys<own::CausalLmConfig> {
  static constexpr ModelKind pre_norm = {"causal-lm", "CausalLm"}, post_norm = {"causal-lm-postnorm", "CausalLm"};
};
