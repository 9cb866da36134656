// Token files: the ids of a corpus in a file that is mapped, not read, so that it may be larger than memory. There are
// two forms. This library's has a header of 64 bytes with the width of an id, the size of the vocabulary and its
// fingerprint, then the ids, then a trailer that shows that the file is whole. nanoGPT's train.bin is ids of 16 bits
// and nothing else. Numbers are little-endian. No id is trusted: each is compared with the vocabulary when it is read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/text/data/fingerprint.hpp"

namespace neural_attention::text {

/// The vocabulary that a token file records. Files of plain 16-bit ids record none.
struct TokenVocabulary {
  int size = 0;                  ///< ids are below it
  std::string fingerprint = {};  ///< 16 hexadecimal digits; empty: unknown, and not compared
};

/// The vocabulary of a tokenizer, which has vocab_size(), has_piece(id) and piece(id).
template <class Tokenizer>
TokenVocabulary token_vocabulary(const Tokenizer& tokenizer) {
  Fingerprint print;
  for (int id = 0; id < tokenizer.vocab_size(); ++id)
    print.add(tokenizer.has_piece(id) ? std::string_view(tokenizer.piece(id)) : std::string_view());
  return {tokenizer.vocab_size(), print.digits()};
}

/// All const functions may be called from several threads at once.
class TokenFile {
 public:
  /// Maps a file of either form. Throws FileError if it is missing, truncated, damaged, or of another vocabulary, and
  /// ConfigError for a vocabulary without ids.
  TokenFile(const std::filesystem::path& path, TokenVocabulary vocabulary);

  /// Tokens in the file.
  std::size_t size() const { return size_; }

  /// Writes the tokens [first, first + ids.size()) to `ids`. Throws FileError, which names the place, for an id that is
  /// not in the vocabulary, and ShapeError for tokens beyond the end.
  void read(std::size_t first, std::span<int> ids) const;

  /// Text that distinguishes these tokens from others: their number, and a hash of a thousand stretches over all.
  std::string fingerprint() const;

 private:
  std::size_t id_at(std::size_t place) const;

  io::MappedFile file_;
  TokenVocabulary vocabulary_;
  std::size_t begin_ = 0, width_ = 2, size_ = 0;  // bytes, bytes, tokens
};

/// Writes a token file with a header: ids of 16 bits if the vocabulary allows it, otherwise of 32. Without commit()
/// nothing remains.
class TokenFileWriter {
 public:
  /// Throws FileError if the file cannot be made, and ConfigError for a vocabulary without ids or a fingerprint of
  /// another length than 16.
  TokenFileWriter(const std::filesystem::path& path, TokenVocabulary vocabulary);

  /// Appends. Throws ConfigError for an id that is not in the vocabulary, and FileError if the disk is full.
  void add(std::span<const int> ids);

  /// Puts the file in place.
  void commit();

  std::size_t size() const { return size_; }

 private:
  io::AtomicFile file_;
  TokenVocabulary vocabulary_;
  std::size_t width_, size_ = 0;
  std::string buffer_;
};

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/data/impl/token_file.hpp"
#endif
