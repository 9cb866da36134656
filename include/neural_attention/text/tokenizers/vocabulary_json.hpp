// vocab.json in the form of Hugging Face's tokenizers: one JSON object, piece → id.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::text {

/// The pieces of a vocabulary by id. Ids without a piece hold "".
struct PieceTable {
  std::vector<std::string> pieces;
  std::vector<int> holes;  ///< the ids without a piece, ascending

  bool has(int id) const;
};

/// The pieces of `document`, an object of pieces and their ids; `path` is the file that it came from. Throws FileError
/// if it is no object of integers or is empty, two pieces have the same id, or more than a million ids have none.
PieceTable pieces_by_id(const nlohmann::json& document, const std::string& path);

/// Writes vocab.json in the order of the ids, ASCII only, all or nothing. Throws FileError.
void write_vocabulary(const PieceTable& table, const std::string& path);

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/tokenizers/impl/vocabulary_json.hpp"
#endif
