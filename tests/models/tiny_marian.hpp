// Small Marian models and batches that several tests share.
#pragma once

#include <vector>

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/models/marian.hpp"

namespace tiny {

namespace na = neural_attention;

using AllPlain = na::Projections<na::PlainNeural, na::PlainNeural, na::PlainNeural, na::PlainNeural>;
using Mixed = na::Projections<na::Neural, na::Linear, na::PlainNeural, na::SequentialLinear>;

/// One layer a side and as few numbers as still show every path.
inline na::MarianConfig config(int layers = 1, int width = 4, double dropout = 0.0) {
  na::MarianConfig config;
  config.vocab_size = 9;
  config.d_model = width;
  config.encoder_layers = config.decoder_layers = layers;
  config.encoder_attention_heads = config.decoder_attention_heads = 2;
  config.encoder_ffn_dim = width + 1;
  config.decoder_ffn_dim = width + 2;
  config.max_position_embeddings = 16;
  config.dropout = dropout;
  config.attention_dropout = dropout;
  config.activation_dropout = dropout;
  config.xavier_init = true;
  config.pad_token_id = 8;
  config.eos_token_id = 0;
  return config;
}

struct Pair {
  std::vector<int> source, target;
};

inline std::vector<Pair> pairs() {
  return {{{1, 2, 3, 0}, {4, 5, 0}}, {{0}, {6, 0}}, {{7, 7, 1, 5, 0}, {0}}, {{3, 0}, {2, 1, 4, 6, 0}}};
}

/// Sentences first … first+count-1, as a part of the batch of all of them; the decoder starts with `start`.
inline na::TranslationBatch batch(const std::vector<Pair>& all, std::size_t first, std::size_t count, int start = 8) {
  na::TranslationBatch result(start);
  na::TranslationBatch before(start);
  for (std::size_t i = 0; i < first; ++i) before.push(all[i].source, all[i].target);
  result.follow(before);
  for (std::size_t i = first; i < first + count; ++i) result.push(all[i].source, all[i].target);
  return result;
}

inline na::TranslationBatch batch(const std::vector<Pair>& all, int start = 8) {
  return batch(all, 0, all.size(), start);
}

/// The values of all tensors, on the host.
template <class B>
std::vector<typename B::Real> values(B& backend, const na::ParameterStore<B>& store) {
  std::vector<typename B::Real> host(static_cast<std::size_t>(store.values().size()));
  backend(na::ops::DownloadOf<typename B::Real>{.x = store.values(), .values = host});
  return host;
}

}  // namespace tiny
