// vocab.json, as Hugging Face's tokenizers write it: one JSON object, piece → id.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::text {

/// The pieces of a vocabulary by id. Some ids may have none: "" stands in their places.
struct PieceTable {
  std::vector<std::string> pieces;
  std::vector<int> holes;  ///< the ids without a piece, ascending

  bool has(int id) const;
};

/// The pieces of `document`, an object of pieces and their ids; `path` is the file that it came from. Throws FileError
/// where it is no object of integers or is empty, two pieces have the same id, or more than a million ids have none.
PieceTable pieces_by_id(const nlohmann::json& document, const std::string& path);

/// Writes vocab.json in the order of the ids, ASCII only, all or nothing. Throws FileError.
void write_vocabulary(const PieceTable& table, const std::string& path);

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/tokenizers/impl/vocabulary_json.hpp"
#endif
