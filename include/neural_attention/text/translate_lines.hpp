// Text to text: tokenize, decode in batches of similar length, and put the sentences back in their order.
#pragma once

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/decode/greedy.hpp"
#include "neural_attention/text/batches.hpp"

namespace neural_attention::text {

struct TranslateOptions {
  GreedyOptions greedy = {};
  int batch_size = 64;  ///< sentences decoded together
  int max_source = 0;   ///< source tokens, </s> included; 0: as many as the model has positions
  std::function<void(std::size_t done)> on_progress = {};  ///< after each batch
};

/// One translation a line; a line without any text gives an empty one.
template <class Decoder, class Tokenizer>
std::vector<std::string> translate_lines(Decoder& decoder, const Tokenizer& tokenizer, int max_positions,
                                         std::span<const std::string> lines, const TranslateOptions& options = {}) {
  if (options.batch_size < 1) throw ConfigError("a batch needs at least one sentence");
  const int limit = options.max_source > 0 ? std::min(options.max_source, max_positions) : max_positions;
  std::vector<std::vector<int>> sources;
  std::vector<int> order;
  for (const auto& line : lines) {
    auto& ids = sources.emplace_back(tokenizer.source_ids(line));
    truncate(ids, limit, tokenizer.eos_id());
    if (ids.size() > 1) order.push_back(static_cast<int>(sources.size()) - 1);
  }
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return sources[a].size() > sources[b].size(); });

  std::vector<std::string> results(lines.size());
  TranslationBatch batch(tokenizer.pad_id());
  for (std::size_t begin = 0; begin < order.size(); begin += static_cast<std::size_t>(options.batch_size)) {
    const auto end = std::min(order.size(), begin + static_cast<std::size_t>(options.batch_size));
    batch.clear();
    for (auto i = begin; i < end; ++i) batch.push(sources[order[i]], {});
    const auto decoded = decoder(batch, options.greedy);
    for (auto i = begin; i < end; ++i) results[order[i]] = tokenizer.decode(decoded[i - begin]);
    if (options.on_progress) options.on_progress(end);
  }
  return results;
}

}  // namespace neural_attention::text
