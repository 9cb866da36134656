// A vocabulary of characters, as nanoGPT's for Shakespeare: the code points of a text, sorted; a character is a token.
// A folder holds vocab.json, character → id, and no merges.txt.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/tokenizers/on_ids.hpp"
#include "neural_attention/text/tokenizers/vocabulary_json.hpp"

namespace neural_attention::text {

/// All const functions may be called from several threads at once.
class CharacterVocabulary {
 public:
  /// Throws ConfigError unless the pieces are different single characters, without holes.
  explicit CharacterVocabulary(PieceTable table);

  /// The characters of `text` in the order of their code points. Throws TextError for a text that is empty or not
  /// UTF-8.
  static CharacterVocabulary of_text(std::string_view text);

  /// Reads vocab.json of a folder. Throws FileError if it is missing, broken or no vocabulary of characters.
  static CharacterVocabulary load(const std::string& directory);

  /// Writes vocab.json; the folder is created if missing. Throws FileError.
  void save(const std::string& directory) const;

  /// Throws TextError for a text that is not UTF-8 or has a character without an id.
  std::vector<int> encode(std::string_view text) const;

  /// The same for a long text, whose ids `take` gets in pieces.
  void encode(std::string_view text, const OnIds& take) const;

  /// Where `text`, the beginning of a longer one, may be cut so that no character is cut: the last such place from
  /// `searched` on, or 0.
  static std::size_t last_border(std::string_view text, std::size_t searched = 0) {
    for (auto at = text.size(); at-- > searched && at > 0;)
      if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80) return at;
    return 0;
  }

  /// Throws ConfigError for an id that is not in the vocabulary.
  std::string decode(std::span<const int> ids) const;

  int vocab_size() const { return static_cast<int>(table_.pieces.size()); }
  bool has_piece(int id) const { return table_.has(id); }
  /// The character. Throws ConfigError for an id that is not in the vocabulary.
  const std::string& piece(int id) const;

 private:
  PieceTable table_;
  std::unordered_map<char32_t, int> ids_;
};

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/tokenizers/impl/character_vocabulary.hpp"
#endif
