// A small GPT-2 and a batch that several tests share.
#pragma once

#include <vector>

#include "neural_attention/attention/projectors.hpp"
#include "neural_attention/models/gpt2.hpp"

namespace tiny {

namespace na = neural_attention;

/// As few numbers as still show every path.
inline na::Gpt2Config gpt2_config(int layers = 2, double dropout = 0.0) {
  na::Gpt2Config config;
  config.vocab_size = 9;
  config.n_embd = 4;
  config.n_layer = layers;
  config.n_head = 2;
  config.n_inner = 6;
  config.max_position_embeddings = 9;
  config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = dropout;
  config.initializer_range = 0.5;
  config.bos_token_id = config.eos_token_id = 0;
  return config;
}

/// One of a single prediction, one as long as the positions allow.
inline std::vector<std::vector<int>> texts() {
  return {{5, 8, 4, 7, 0}, {3, 2}, {0, 1, 5, 8, 2, 6, 6, 3, 7, 1}, {6, 8, 3, 4}};
}

/// Texts first … first+count-1, as a part of the batch of all of them.
inline na::CausalBatch causal_batch(const std::vector<std::vector<int>>& all, std::size_t first, std::size_t count) {
  na::CausalBatch before, result;
  for (std::size_t i = 0; i < first; ++i) before.push(all[i]);
  for (std::size_t i = first; i < first + count; ++i) result.push(all[i]);
  result.follow(before);
  return result;
}
inline na::CausalBatch causal_batch(const std::vector<std::vector<int>>& all) {
  return causal_batch(all, 0, all.size());
}

}  // namespace tiny
