// The tokenizer of a causal language model: byte-level BPE, as GPT-2's, or a vocabulary of characters, as the files of
// a folder say.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"
#include "neural_attention/text/tokenizers/character_vocabulary.hpp"

namespace examples {

namespace na = neural_attention;

class TextTokenizer {
 public:
  using Kind = std::variant<na::text::ByteBpe, na::text::CharacterVocabulary>;

  explicit TextTokenizer(Kind kind) : kind_(std::move(kind)) {}

  /// Whether a folder holds a tokenizer.
  static bool is_in(const std::string& directory) { return has(directory, "tokenizer.json", "vocab.json"); }

  /// A vocab.json alone is one of characters. Throws FileError.
  static TextTokenizer load(const std::string& directory) {
    if (!is_in(directory)) throw na::FileError(directory, "holds no tokenizer: neither tokenizer.json nor vocab.json");
    if (has(directory, "tokenizer.json", "merges.txt")) return TextTokenizer(na::text::ByteBpe::load(directory));
    return TextTokenizer(na::text::CharacterVocabulary::load(directory));
  }

  /// Hugging Face's tokenizers cut texts at `positions`.
  void save(const std::string& directory, int positions) const {
    if (const auto* const bpe = std::get_if<na::text::ByteBpe>(&kind_))
      bpe->save(directory, positions);
    else
      std::get<na::text::CharacterVocabulary>(kind_).save(directory);
  }

  std::vector<int> encode(std::string_view text) const {
    return std::visit([&](const auto& one) { return one.encode(text); }, kind_);
  }
  void encode(std::string_view text, const na::text::OnIds& take) const {
    std::visit([&](const auto& one) { one.encode(text, take); }, kind_);
  }
  /// Where the beginning of a long text may be cut: as each tokenizer says.
  std::size_t last_border(std::string_view text, std::size_t searched) const {
    return std::visit([&](const auto& one) { return one.last_border(text, searched); }, kind_);
  }
  /// The bytes of `ids` without special tokens.
  std::string decode(std::span<const int> ids) const {
    if (const auto* const bpe = std::get_if<na::text::ByteBpe>(&kind_))
      return bpe->decode(ids, na::text::ByteBpe::Specials::LeftOut);
    return std::get<na::text::CharacterVocabulary>(kind_).decode(ids);
  }

  bool is_of_characters() const { return std::holds_alternative<na::text::CharacterVocabulary>(kind_); }

  int vocab_size() const {
    return std::visit([](const auto& one) { return one.vocab_size(); }, kind_);
  }
  bool has_piece(int id) const {
    return std::visit([&](const auto& one) { return one.has_piece(id); }, kind_);
  }
  const std::string& piece(int id) const {
    return std::visit([&](const auto& one) -> const std::string& { return one.piece(id); }, kind_);
  }

  /// Whether a token, such as the end of a text, is no text.
  bool is_special(int id) const {
    const auto* const bpe = std::get_if<na::text::ByteBpe>(&kind_);
    return bpe && bpe->is_special(id);
  }

  /// The tokens before and after a text: RoBERTa's or GPT-2's; -1 if there is none.
  int begin_id() const { return special(na::text::ByteBpe::bos); }
  int end_id() const { return special(na::text::ByteBpe::eos); }

 private:
  static bool has(const std::string& directory, const char* one, const char* other) {
    const std::filesystem::path folder(directory);
    std::error_code ignored;
    return std::filesystem::exists(folder / one, ignored) || std::filesystem::exists(folder / other, ignored);
  }

  int special(std::string_view name) const {
    const auto* const bpe = std::get_if<na::text::ByteBpe>(&kind_);
    if (!bpe) return -1;
    for (const std::string_view wanted : {name, na::text::ByteBpe::end_of_text})
      for (const auto& token : bpe->model().added_tokens)
        if (token.content == wanted) return token.id;
    return -1;
  }

  Kind kind_;
};

}  // namespace examples
