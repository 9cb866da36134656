// Definitions of what text/tokenizers/character_vocabulary.hpp declares.
#pragma once

#include <cstddef>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/text/tokenizers/character_vocabulary.hpp"

namespace neural_attention::text {

namespace detail {

/// Calls use(character, place) for each character of `text`; places count characters, from 1. Throws TextError if it is
/// not UTF-8.
void for_each_character(std::string_view text, auto&& use) {
  std::size_t place = 0;
  for (std::size_t i = 0; i < text.size(); ++place) {
    const auto length = utf8_length(text.substr(i));
    if (length == 0) throw TextError("a text is not UTF-8: there is no character at byte " + std::to_string(i + 1));
    use(text.substr(i, length), place + 1);
    i += length;
  }
}

}  // namespace detail

NEURAL_ATTENTION_INLINE CharacterVocabulary::CharacterVocabulary(PieceTable table) : table_(std::move(table)) {
  if (table_.pieces.empty()) throw ConfigError("a vocabulary of characters needs at least one");
  if (!table_.holes.empty())
    throw ConfigError("a vocabulary of characters has no character for the id " + std::to_string(table_.holes[0]));
  for (const auto& piece : table_.pieces) {
    if (piece.empty() || utf8_length(piece) != piece.size())
      throw ConfigError("a vocabulary of characters cannot hold " + in_quotes(piece) + ", which is not one character");
    if (!ids_.emplace(decode_utf8(piece), static_cast<int>(ids_.size())).second)
      throw ConfigError("a vocabulary of characters holds " + in_quotes(piece) + " twice");
  }
}

NEURAL_ATTENTION_INLINE CharacterVocabulary CharacterVocabulary::of_text(std::string_view text) {
  std::set<std::string, std::less<>> characters;  // UTF-8 has the order of code points
  detail::for_each_character(text, [&](std::string_view character, std::size_t) {
    if (!characters.contains(character)) characters.emplace(character);
  });
  if (characters.empty()) throw TextError("an empty text has no characters for a vocabulary");
  return CharacterVocabulary({{characters.begin(), characters.end()}, {}});
}

NEURAL_ATTENTION_INLINE CharacterVocabulary CharacterVocabulary::load(const std::string& directory) {
  const auto path = (std::filesystem::path(directory) / "vocab.json").string();
  auto table = pieces_by_id(io::read_json(path), path);
  try {
    return CharacterVocabulary(std::move(table));
  } catch (const ConfigError& error) {
    throw FileError(path, error.what());
  }
}

NEURAL_ATTENTION_INLINE void CharacterVocabulary::save(const std::string& directory) const {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed) throw FileError(directory, "cannot be created: " + failed.message());
  write_vocabulary(table_, (std::filesystem::path(directory) / "vocab.json").string());
}

NEURAL_ATTENTION_INLINE std::vector<int> CharacterVocabulary::encode(std::string_view text) const {
  std::vector<int> ids;
  ids.reserve(text.size());
  encode(text, [&](std::span<const int> more, std::size_t) { ids.insert(ids.end(), more.begin(), more.end()); });
  return ids;
}

NEURAL_ATTENTION_INLINE void CharacterVocabulary::encode(std::string_view text, const OnIds& take) const {
  std::vector<int> ids;
  detail::for_each_character(text, [&](std::string_view character, std::size_t place) {
    const auto found = ids_.find(decode_utf8(character));
    if (found == ids_.end())
      throw TextError("the character " + in_quotes(character) + ", number " + std::to_string(place) +
                      " of the text, is not in the vocabulary of " + std::to_string(vocab_size()) + " characters");
    ids.push_back(found->second);
    if (ids.size() < ids_at_once) return;
    take(ids, static_cast<std::size_t>(character.data() + character.size() - text.data()));
    ids.clear();
  });
  take(ids, text.size());
}

NEURAL_ATTENTION_INLINE std::string CharacterVocabulary::decode(std::span<const int> ids) const {
  std::string text;
  for (const int id : ids) text += piece(id);
  return text;
}

NEURAL_ATTENTION_INLINE const std::string& CharacterVocabulary::piece(int id) const {
  if (!has_piece(id))
    throw ConfigError("the id " + std::to_string(id) + " is not in a vocabulary of " + std::to_string(vocab_size()) +
                      " characters");
  return table_.pieces[static_cast<std::size_t>(id)];
}

}  // namespace neural_attention::text
