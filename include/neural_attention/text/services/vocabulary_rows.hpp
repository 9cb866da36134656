// A model's embedding may have more rows than its tokenizer has pieces: ids without a piece inside the vocabulary, and
// rows after it that make their number a multiple of 8 or 64. They are trained like others, but never chosen.
#pragma once

#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::text {

/// Throws ConfigError if a tokenizer has ids without rows in the model.
inline void require_rows(int rows, int vocabulary) {
  if (rows < vocabulary)
    throw ConfigError("the model has a vocabulary of " + std::to_string(rows) + ", but its tokenizer one of " +
                      std::to_string(vocabulary));
}

/// The ids of a model's `rows` for which `tokenizer` has no piece, ascending.
template <class Tokenizer>
std::vector<int> ids_without_piece(const Tokenizer& tokenizer, int rows) {
  std::vector<int> ids;
  for (int id = 0; id < rows; ++id)
    if (!tokenizer.has_piece(id)) ids.push_back(id);
  return ids;
}

}  // namespace neural_attention::text
