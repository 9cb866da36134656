// Batches of random tokens for benchmarks of whole steps.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "neural_attention/core/masked_batch.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/core/translation_batch.hpp"
#include "neural_attention/models/roberta_config.hpp"

namespace bench {

/// Pairs of sentences whose target's lengths length(random) gives, until there are `tokens` target tokens; their
/// sources are a token shorter or longer. The last id fills up, 0 ends a sentence.
template <class Length>
neural_attention::TranslationBatch random_pairs(int tokens, int vocabulary, Length&& length) {
  neural_attention::RandomStream random({7, 0, 0});
  neural_attention::TranslationBatch batch(vocabulary - 1);
  const auto sentence = [&](int count) {
    std::vector<int> ids;
    for (int i = 0; i + 1 < count; ++i)
      ids.push_back(2 + static_cast<int>(random.below(static_cast<std::uint32_t>(vocabulary - 3))));
    ids.push_back(0);
    return ids;
  };
  while (batch.decoder_input.total() < tokens) {
    const int target = length(random);
    batch.push(sentence(target + static_cast<int>(random.below(3)) - 1), sentence(target));
  }
  return batch;
}

/// 4 to 30 tokens, as captions have.
inline int caption_length(neural_attention::RandomStream& random) {
  return std::clamp(static_cast<int>(15.0 + 5.0 * random.normal()), 4, 30);
}

/// Lengths spread as those of speech that was written down: 27 tokens in the mean, half of them below 22, up to 110.
inline int speech_length(neural_attention::RandomStream& random) {
  return std::clamp(static_cast<int>(22.0 * std::exp(0.62 * random.normal())), 3, 110);
}

/// Random tokens, 15 % of them masked.
inline neural_attention::MaskedBatch random_blocks(int sequences, int length,
                                                   const neural_attention::RobertaConfig& config) {
  neural_attention::RandomStream random({7, 0, 0});
  neural_attention::MaskedBatch batch(config.pad_token_id);
  constexpr int specials = 4;
  const auto token = [&] {
    return specials + static_cast<int>(random.below(static_cast<std::uint32_t>(config.vocab_size - specials)));
  };
  for (int i = 0; i < sequences; ++i) {
    std::vector<int> ids, places, originals;
    for (int place = 0; place < length; ++place) {
      ids.push_back(token());
      if (random.uniform() >= 0.15) continue;
      places.push_back(place);
      originals.push_back(token());
    }
    batch.push(ids, places, originals);
  }
  return batch;
}

}  // namespace bench
