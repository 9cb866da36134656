// A small RoBERTa and a batch that several tests share.
#pragma once

#include <vector>

#include "neural_attention/attention/projectors.hpp"
#include "neural_attention/models/roberta.hpp"

namespace tiny {

namespace na = neural_attention;

/// As few numbers as still show every path. <s> 0, <pad> 1, </s> 2.
inline na::RobertaConfig roberta_config(int layers = 1, double dropout = 0.0) {
  na::RobertaConfig config;
  config.vocab_size = 9;
  config.hidden_size = 4;
  config.num_hidden_layers = layers;
  config.num_attention_heads = 2;
  config.intermediate_size = 6;
  config.max_position_embeddings = 9;
  config.hidden_dropout_prob = dropout;
  config.attention_probs_dropout_prob = dropout;
  config.initializer_range = 0.5;
  return config;
}

struct MaskedSequence {
  std::vector<int> ids, places, originals;
};

/// One without a masked token, one with the id of padding among its tokens.
inline std::vector<MaskedSequence> masked_sequences() {
  return {{{0, 8, 4, 7, 2}, {1, 3}, {5, 6}},
          {{0, 3, 2}, {}, {}},
          {{0, 1, 5, 8, 2}, {1, 3}, {7, 3}},
          {{0, 6, 8, 3, 4, 5, 2}, {2, 5}, {4, 5}}};
}

/// Sequences first … first+count-1, as a part of the batch of all of them.
inline na::MaskedBatch masked_batch(const std::vector<MaskedSequence>& all, std::size_t first, std::size_t count) {
  na::MaskedBatch before(1), result(1);
  for (std::size_t i = 0; i < first; ++i) before.push(all[i].ids, all[i].places, all[i].originals);
  for (std::size_t i = first; i < first + count; ++i) result.push(all[i].ids, all[i].places, all[i].originals);
  result.follow(before);
  return result;
}
inline na::MaskedBatch masked_batch(const std::vector<MaskedSequence>& all) { return masked_batch(all, 0, all.size()); }

}  // namespace tiny
