// Floating point operations of a training step that no implementation can do without, counted once for every benchmark:
// 6 for each weight and token that meets it, 12 · width for each pair of a query and a key that attends to it (half of
// the pairs where attention is causal). Recomputation, norms and activations are not counted.
#pragma once

#include <string_view>

#include "neural_attention/core/masked_batch.hpp"
#include "neural_attention/core/translation_batch.hpp"

namespace bench {

/// Of the products with weight matrices.
template <class Model>
double weight_flops(const Model& model, const neural_attention::TranslationBatch& batch) {
  double flops = 0.0;
  for (const auto& entry : model.parameters().entries()) {
    if (entry.vector || !entry.trained) continue;
    const bool reads_source = entry.name.starts_with("model.encoder") ||
                              entry.name.find("encoder_attn.k_proj") != std::string_view::npos ||
                              entry.name.find("encoder_attn.v_proj") != std::string_view::npos;
    flops += 6.0 * double(entry.size()) * (reads_source ? batch.source.total() : batch.decoder_input.total());
  }
  return flops;
}

template <class Model>
double weight_flops(const Model& model, const neural_attention::MaskedBatch& batch) {
  double flops = 0.0;
  for (const auto& entry : model.parameters().entries()) {
    const bool looked_up = entry.name.find("position_embeddings") != std::string_view::npos ||
                           entry.name.find("token_type_embeddings") != std::string_view::npos;
    if (entry.vector || looked_up) continue;
    const bool of_head =
        entry.name.starts_with("lm_head") || entry.name.find("word_embeddings") != std::string_view::npos;
    flops += 6.0 * double(entry.size()) * (of_head ? double(batch.labels.size()) : double(batch.tokens.total()));
  }
  return flops;
}

/// Pairs of a query and a key, over all sequences.
inline double pairs(const neural_attention::Ragged& queries, const neural_attention::Ragged& keys) {
  double sum = 0.0;
  for (int s = 0; s < queries.sequences(); ++s) sum += double(queries.length(s)) * keys.length(s);
  return sum;
}

/// Of the products inside attention.
template <class Model>
double attention_flops(const Model& model, const neural_attention::TranslationBatch& batch) {
  const auto& source = batch.source.offsets();
  const auto& target = batch.decoder_input.offsets();
  const auto& config = model.config();
  return 12.0 * config.d_model *
         (config.encoder_layers * pairs(source, source) +
          config.decoder_layers * (0.5 * pairs(target, target) + pairs(target, source)));
}

template <class Model>
double attention_flops(const Model& model, const neural_attention::MaskedBatch& batch) {
  const auto& tokens = batch.tokens.offsets();
  return 12.0 * model.config().hidden_size * model.config().num_hidden_layers * pairs(tokens, tokens);
}

}  // namespace bench
