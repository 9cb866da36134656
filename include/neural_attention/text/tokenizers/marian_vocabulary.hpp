// HF Marian's vocab.json: one JSON object, piece → id; an id may have no piece. The ids of a SentencePiece model differ
// from the translation model's; this file maps pieces to rows of the embedding.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/tokenizers/vocabulary_json.hpp"

namespace neural_attention::text {

/// Pieces and their ids, with the three special pieces that HF Marian needs.
class MarianVocabulary {
 public:
  static constexpr std::string_view eos = "</s>", unk = "<unk>", pad = "<pad>";

  /// `pieces[i]` gets id i. Throws FileError, naming `path`, if a piece occurs twice or a special one is missing.
  MarianVocabulary(std::vector<std::string> pieces, const std::string& path)
      : MarianVocabulary(PieceTable{std::move(pieces), {}}, path) {}
  MarianVocabulary(PieceTable table, const std::string& path);

  /// Reads vocab.json. Throws FileError if it is no object of integers, or a piece or an id occurs twice.
  static MarianVocabulary load(const std::string& path);

  /// Writes vocab.json in the order of the ids, ASCII only as HF does, all or nothing.
  void save(const std::string& path) const { write_vocabulary(table_, path); }

  /// One more than the largest id.
  int size() const { return static_cast<int>(table_.pieces.size()); }
  bool has_piece(int id) const { return table_.has(id); }
  int eos_id() const { return eos_id_; }
  int unk_id() const { return unk_id_; }
  int pad_id() const { return pad_id_; }
  bool is_special(int id) const { return id == eos_id_ || id == unk_id_ || id == pad_id_; }

  /// The id of `piece`, or of `<unk>` if it has none.
  int id(const std::string& piece) const;

  /// The piece with this id. Throws ConfigError if it has none.
  const std::string& piece(int id) const;

 private:
  int special(std::string_view piece, const std::string& path) const;

  PieceTable table_;
  std::unordered_map<std::string, int> ids_;
  int eos_id_ = 0, unk_id_ = 0, pad_id_ = 0;
};

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/tokenizers/impl/marian_vocabulary.hpp"
#endif
