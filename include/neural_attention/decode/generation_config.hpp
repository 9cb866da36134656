// How a translation is searched for, under the names of Hugging Face's generation_config.json.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace neural_attention {

/// When the beam search of a sentence is done; in files `false`, `true` and `"never"`.
enum class EarlyStopping {
  Heuristic,  ///< no live beam would beat the worst result kept if it ended now
  Always,     ///< num_beams results are finished
  Never       ///< no live beam can beat the worst result kept, however long it grows
};

/// Lengths count tokens of a result, the start token and the end token too. Token ids that are not given (-1) are the
/// model's own.
struct GenerationConfig {
  int num_beams = 1;             ///< 1: greedy, or sampling with do_sample
  int num_return_sequences = 1;  ///< results a sentence, the best first; at most num_beams unless sampled
  int max_length = 512;
  int min_length = 0;           ///< no end before a result has this many tokens, the end token not counted
  double length_penalty = 1.0;  ///< a finished beam scores Σ log p / length^length_penalty
  EarlyStopping early_stopping = EarlyStopping::Heuristic;
  int no_repeat_ngram_size = 0;                 ///< no run of this many tokens occurs twice; 0: anything goes
  std::vector<std::vector<int>> bad_words_ids;  ///< token sequences that never occur
  bool renormalize_logits = false;              ///< probabilities sum to 1 again after tokens were ruled out
  int decoder_start_token_id = -1;
  int eos_token_id = -1;
  int pad_token_id = -1;
  int forced_eos_token_id = -1;  ///< the only token allowed at the length limit; -1: any

  bool do_sample = false;  ///< draw tokens instead of searching; needs num_beams 1
  double temperature = 1.0;
  int top_k = 50;      ///< draw among the likeliest; 0: among all
  double top_p = 1.0;  ///< draw among the fewest tokens that have this much probability together
  std::uint64_t seed = 42;

  std::string other_keys = {};  ///< what a file says beyond these, as a JSON object: written again when it is saved

  /// Throws ConfigError naming the first value that makes no sense.
  void validate() const {
    const auto refuse = [](const std::string& what) { throw ConfigError(what); };
    if (num_beams < 1) refuse("num_beams must be at least 1, not " + std::to_string(num_beams));
    if (max_length < 2) refuse("max_length must be at least 2, not " + std::to_string(max_length));
    if (min_length < 0) refuse("min_length must not be negative");
    if (no_repeat_ngram_size < 0) refuse("no_repeat_ngram_size must not be negative");
    if (num_return_sequences < 1) refuse("num_return_sequences must be at least 1");
    if (!do_sample && num_return_sequences > num_beams)
      refuse("num_return_sequences is " + std::to_string(num_return_sequences) + ", but only " +
             std::to_string(num_beams) + " beams are searched");
    if (do_sample && num_beams > 1) refuse("do_sample needs num_beams 1: sampling along beams is not supported");
    if (!(temperature > 0.0)) refuse("temperature must be positive");
    if (top_k < 0) refuse("top_k must not be negative");
    if (!(top_p > 0.0 && top_p <= 1.0)) refuse("top_p must be in (0, 1]");
    for (const auto& word : bad_words_ids)
      if (word.empty()) refuse("bad_words_ids holds an empty sequence");
  }
};

/// What a model with this config is decoded with where no generation_config.json says otherwise: greedily, never pad,
/// to the last position, where the sentence must end.
template <class ModelConfig>
GenerationConfig generation_defaults(const ModelConfig& model) {
  GenerationConfig how;
  how.max_length = model.max_position_embeddings;
  how.bad_words_ids = {{model.pad_token_id}};
  how.renormalize_logits = true;
  how.forced_eos_token_id = model.eos_token_id;
  return how;
}

/// `how` with the model's ids in place of -1, and its max_length cut to what the model has positions for. Throws
/// ConfigError where a value makes no sense or a token is outside the vocabulary.
template <class ModelConfig>
GenerationConfig resolved(GenerationConfig how, const ModelConfig& model) {
  how.validate();
  const auto token = [&](const char* name, int& id, int of_model) {
    if (id == -1) id = of_model;
    if (id < 0 || id >= model.vocab_size)
      throw ConfigError(std::string(name) + " is " + std::to_string(id) + ", outside the vocabulary of " +
                        std::to_string(model.vocab_size));
  };
  token("decoder_start_token_id", how.decoder_start_token_id, model.pad_token_id);
  token("eos_token_id", how.eos_token_id, model.eos_token_id);
  token("pad_token_id", how.pad_token_id, model.pad_token_id);
  if (how.forced_eos_token_id != -1) token("forced_eos_token_id", how.forced_eos_token_id, -1);
  for (auto& word : how.bad_words_ids)
    for (int& id : word) token("a token of bad_words_ids", id, -1);
  how.max_length = std::min(how.max_length, model.max_position_embeddings + 1);  // nothing follows the last token
  return how;
}

/// One result: its tokens without start and end, and its score (0 without beams).
struct Hypothesis {
  std::vector<int> ids;
  double score = 0.0;

  bool operator==(const Hypothesis&) const = default;
};

}  // namespace neural_attention
