// vocab.json, as Hugging Face's tokenizers write it: one JSON object, piece → id, with the ids 0 … n-1.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"

namespace neural_attention::text {

/// The pieces of `document` in the order of their ids; `path` is the file that it came from. Throws FileError where it
/// is no object of integers or is empty, two pieces have the same id, or an id in 0 … n-1 is missing.
inline std::vector<std::string> pieces_by_id(const nlohmann::json& document, const std::string& path) {
  if (!document.is_object() || document.empty()) throw FileError(path, "is not a JSON object of pieces and ids");
  const auto count = document.size();
  std::vector<std::string> pieces(count);
  std::vector<bool> taken(count);
  for (const auto& [piece, value] : document.items()) {
    if (!value.is_number_integer())
      throw FileError(path, "the id of piece " + io::detail::in_quotes(piece) + " is not an integer");
    // What is negative is no std::size_t; what is large need not be a long long.
    if (!value.is_number_unsigned() || value.get<std::size_t>() >= count)
      throw FileError(path, "piece " + io::detail::in_quotes(piece) + " has id " + value.dump() + ", but " +
                                std::to_string(count) + " pieces need the ids 0 to " + std::to_string(count - 1));
    const auto place = value.get<std::size_t>();
    if (taken[place])
      throw FileError(path, "pieces " + io::detail::in_quotes(pieces[place]) + " and " + io::detail::in_quotes(piece) +
                                " have the same id " + std::to_string(place));
    taken[place] = true;
    pieces[place] = piece;
  }
  return pieces;
}

/// Writes vocab.json in the order of the ids, ASCII only, all or nothing. Throws FileError.
inline void write_vocabulary(std::span<const std::string> pieces, const std::string& path) {
  std::string text = "{";
  for (std::size_t id = 0; id < pieces.size(); ++id)
    text += (id == 0 ? "\n  " : ",\n  ") +
            nlohmann::json(pieces[id]).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + ": " +
            std::to_string(id);
  io::write_file_atomically(path, text + "\n}\n");
}

}  // namespace neural_attention::text
