// Definitions of what text/tokenizers/vocabulary_json.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/text/tokenizers/vocabulary_json.hpp"

namespace neural_attention::text {

NEURAL_ATTENTION_INLINE bool PieceTable::has(int id) const {
  return id >= 0 && std::cmp_less(id, pieces.size()) && !std::binary_search(holes.begin(), holes.end(), id);
}

NEURAL_ATTENTION_INLINE PieceTable pieces_by_id(const nlohmann::json& document, const std::string& path) {
  if (!document.is_object() || document.empty()) throw FileError(path, "is not a JSON object of pieces and ids");
  constexpr std::size_t most_holes = 1'000'000;
  const auto limit = document.size() + most_holes;
  std::size_t count = 0;
  for (const auto& [piece, value] : document.items()) {
    if (!value.is_number_integer()) throw FileError(path, "the id of piece " + in_quotes(piece) + " is not an integer");
    // What is negative is no std::size_t; what is large need not be a long long.
    if (!value.is_number_unsigned() || value.get<std::size_t>() >= limit)
      throw FileError(path, "piece " + in_quotes(piece) + " has id " + value.dump() + ", but " +
                                std::to_string(document.size()) + " pieces have ids from 0 to " +
                                std::to_string(limit - 1) + " at most");
    count = std::max(count, value.get<std::size_t>() + 1);
  }
  PieceTable table;
  table.pieces.resize(count);
  std::vector<bool> taken(count);
  for (const auto& [piece, value] : document.items()) {
    const auto place = value.get<std::size_t>();
    if (taken[place])
      throw FileError(path, "pieces " + in_quotes(table.pieces[place]) + " and " + in_quotes(piece) +
                                " have the same id " + std::to_string(place));
    taken[place] = true;
    table.pieces[place] = piece;
  }
  for (std::size_t id = 0; id < count; ++id)
    if (!taken[id]) table.holes.push_back(static_cast<int>(id));
  return table;
}

NEURAL_ATTENTION_INLINE void write_vocabulary(const PieceTable& table, const std::string& path) {
  std::string text;
  for (std::size_t id = 0; id < table.pieces.size(); ++id)
    if (table.has(static_cast<int>(id)))
      text += (text.empty() ? "{\n  " : ",\n  ") +
              nlohmann::json(table.pieces[id]).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + ": " +
              std::to_string(id);
  io::write_file_atomically(path, text + "\n}\n");
}

}  // namespace neural_attention::text
