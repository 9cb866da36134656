// Text as the sequences of a masked language model, cut like Hugging Face's run_mlm. Usually every line, also an empty
// one, becomes <s> … </s>; the tokens of each 1,000 lines are joined and cut into blocks of equal size, and the rest is
// dropped. With line_by_line, each line that is not white space is its own sequence, cut at the block size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/text/data/batches.hpp"

namespace neural_attention::text {

struct TextOptions {
  int block_size = 512;       ///< tokens of a sequence, <s> and </s> included
  bool line_by_line = false;  ///< sequences of different lengths, not blocks
  int chunk_lines = 1000;     ///< blocks do not reach over the borders of so many lines
};

/// The sequences of `lines`. `Tokenizer` has encode_sequence and eos_id, like ByteBpe. Throws ConfigError if the
/// options make no sense, and TextError if the text gives no sequence.
template <class Tokenizer>
TokenSequences masked_lm_blocks(std::span<const std::string> lines, const Tokenizer& tokenizer,
                                const TextOptions& options) {
  const HostWork work("tokenizing");
  if (options.block_size < 3)
    throw ConfigError("a block of " + std::to_string(options.block_size) +
                      " tokens has no room for <s>, a token and </s>");
  if (options.chunk_lines < 1)
    throw ConfigError("blocks cannot be cut from " + std::to_string(options.chunk_lines) + " lines at a time");
  const auto block = static_cast<std::size_t>(options.block_size);
  const auto chunk_lines = static_cast<std::size_t>(options.chunk_lines);
  TokenSequences blocks;
  std::vector<int> chunk;
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (options.line_by_line) {
      if (strip_left(lines[i]).empty()) continue;
      auto ids = tokenizer.encode_sequence(lines[i]);
      truncate(ids, options.block_size, tokenizer.eos_id());
      blocks.add(ids);
      continue;
    }
    const auto ids = tokenizer.encode_sequence(lines[i]);
    tokens += ids.size();
    chunk.insert(chunk.end(), ids.begin(), ids.end());
    if ((i + 1) % chunk_lines != 0 && i + 1 != lines.size()) continue;
    for (auto rest = std::span<const int>(chunk); rest.size() >= block; rest = rest.subspan(block))
      blocks.add(rest.first(block));
    chunk.clear();
  }
  if (blocks.size() > 0) return blocks;
  const auto count = std::to_string(lines.size());
  if (options.line_by_line) throw TextError("all of the text's " + count + " lines are empty");
  throw TextError("the text is too short for a block of " + std::to_string(options.block_size) + " tokens: it has " +
                  std::to_string(tokens) + " in " + count + " lines, and " + std::to_string(options.chunk_lines) +
                  " lines at a time are cut into blocks");
}

}  // namespace neural_attention::text
