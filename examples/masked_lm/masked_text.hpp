// From flags and files to the sequences of a masked language model.
#pragma once

#include <string>
#include <vector>

#include "common/any_model.hpp"
#include "masked_lm/options.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/masked_lm_data.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"

namespace examples {

/// The options of `flags`, for a model that reads up to `longest` tokens.
inline na::text::TextOptions text_options(const MaskedTextOptions& flags, int longest) {
  na::text::TextOptions options;
  options.block_size = flags.max_seq_length > 0 ? flags.max_seq_length : longest;
  if (options.block_size > longest)
    throw na::ConfigError("--max_seq_length " + std::to_string(flags.max_seq_length) + ": the model reads " +
                          std::to_string(longest) +
                          " tokens at most, as max_position_embeddings in its config.json says");
  options.line_by_line = flags.line_by_line;
  return options;
}

/// Masks that are the same in every evaluation of the same text.
inline na::text::MaskingOptions fixed_masks(const MaskedTextOptions& flags, std::uint64_t seed) {
  na::text::MaskingOptions masking;
  masking.probability = flags.mlm_probability;
  masking.seed = seed;
  masking.fixed = true;
  return masking;
}

/// The sequences of `lines`, which `path` has. Throws FileError if none can be used.
inline na::text::MaskedLmData masked_data(const std::string& path, const std::vector<std::string>& lines,
                                          const na::text::ByteBpe& tokenizer, const na::text::TextOptions& cut,
                                          const na::text::BatchOptions& batches,
                                          const na::text::MaskingOptions& masking) {
  try {
    return {na::text::masked_lm_blocks(lines, tokenizer, cut), tokenizer, batches, masking};
  } catch (const na::TextError& error) {
    throw na::FileError(path, error.what());
  }
}

}  // namespace examples
