// Greedy decoding with a key/value cache: at each step every live sentence takes its likeliest token; a sentence that
// ended leaves the batch. As Hugging Face's generate with num_beams 1: pad is never chosen, and at the length limit the
// last token is the end of the sentence.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "neural_attention/core/step.hpp"
#include "neural_attention/models/translation_batch.hpp"

namespace neural_attention {

struct GreedyOptions {
  int max_length = 128;  ///< tokens of a result, the start token counted and the end token too
};

/// The ids of one result a sentence, without start and end tokens. `batch` needs sources only. Throws ShapeError where
/// the batch does not fit the model.
template <class Model>
class GreedyDecoder {
 public:
  using B = typename Model::Backend;

  GreedyDecoder(B& backend, const Model& model) : model_(&model), memory_(backend) {}

  std::vector<std::vector<int>> operator()(const TranslationBatch& batch, GreedyOptions options = {}) {
    model_->check(batch);
    const auto& config = model_->config();
    const int limit = std::min(options.max_length, config.max_position_embeddings) - 1;
    std::vector<std::vector<int>> results(batch.sentences());
    if (results.empty() || limit <= 0) return results;

    auto step = memory_.begin(false);
    auto state = model_->begin_decoding(step, batch, limit, saved_);
    std::vector<int> sentence(results.size()), ids(results.size(), config.pad_token_id), next(ids), positions,
        survivors;
    std::iota(sentence.begin(), sentence.end(), 0);
    // The token at the limit is forced to be the end, so nothing is computed for it.
    for (int position = 0; position + 1 < limit && !ids.empty(); ++position) {
      const ArenaScope scope(step.scratch);
      positions.assign(ids.size(), position);
      const auto logits = step.scratch.rows(static_cast<int>(ids.size()), config.vocab_size);
      model_->decode_step(step, ids, positions, state, logits);
      next.resize(ids.size());
      step.backend.argmax(logits, {}, config.pad_token_id, next);

      survivors.clear();
      for (int i = 0; i < static_cast<int>(next.size()); ++i) {
        if (next[i] == config.eos_token_id) continue;
        results[sentence[i]].push_back(next[i]);
        survivors.push_back(i);
      }
      if (survivors.size() < ids.size()) state.keep(survivors);
      ids.resize(survivors.size());
      for (std::size_t i = 0; i < survivors.size(); ++i) {
        ids[i] = next[survivors[i]];
        sentence[i] = sentence[survivors[i]];
      }
    }
    return results;
  }

 private:
  const Model* model_;
  StepMemory<B> memory_;
  typename Model::Saved saved_;
};

}  // namespace neural_attention
