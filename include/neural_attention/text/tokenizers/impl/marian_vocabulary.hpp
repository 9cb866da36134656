// Definitions of what text/tokenizers/marian_vocabulary.hpp declares.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/text/tokenizers/marian_vocabulary.hpp"
#include "neural_attention/text/tokenizers/vocabulary_json.hpp"

namespace neural_attention::text {

NEURAL_ATTENTION_INLINE MarianVocabulary::MarianVocabulary(PieceTable table, const std::string& path)
    : table_(std::move(table)) {
  ids_.reserve(table_.pieces.size());
  for (int id = 0; id < size(); ++id) {
    const auto& piece = table_.pieces[static_cast<std::size_t>(id)];
    if (has_piece(id) && !ids_.emplace(piece, id).second)
      throw FileError(path, "piece " + in_quotes(piece) + " occurs more than once");
  }
  eos_id_ = special(eos, path);
  unk_id_ = special(unk, path);
  pad_id_ = special(pad, path);
}

NEURAL_ATTENTION_INLINE MarianVocabulary MarianVocabulary::load(const std::string& path) {
  return MarianVocabulary(pieces_by_id(io::read_json(path), path), path);
}

NEURAL_ATTENTION_INLINE int MarianVocabulary::id(const std::string& piece) const {
  const auto found = ids_.find(piece);
  return found == ids_.end() ? unk_id_ : found->second;
}

NEURAL_ATTENTION_INLINE const std::string& MarianVocabulary::piece(int id) const {
  if (!has_piece(id))
    throw ConfigError("token id " + std::to_string(id) + " is not in the vocabulary of " + std::to_string(size()));
  return table_.pieces[static_cast<std::size_t>(id)];
}

NEURAL_ATTENTION_INLINE int MarianVocabulary::special(std::string_view piece, const std::string& path) const {
  const auto found = ids_.find(std::string(piece));
  if (found == ids_.end()) throw FileError(path, "lacks the special piece " + std::string(piece));
  return found->second;
}

}  // namespace neural_attention::text
