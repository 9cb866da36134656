// SentencePiece (Kudo and Richardson, 2018): text to subword pieces and back, through the sentencepiece library. The
// library's status codes become FileError. A model learns from lines in memory and depends only on them and on the
// options: the number of training threads is an option with a fixed default because it changes the order of sums.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace neural_attention::text {

struct SentencePieceOptions {
  int vocab_size = 8000;                   ///< all pieces, special ones included; an upper bound
  std::string model_type = "unigram";      ///< unigram, bpe, char or word
  double character_coverage = 1.0;         ///< share of the characters that get pieces of their own, 0.98 to 1
  std::string normalization = "nmt_nfkc";  ///< nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf or identity
  int threads = 4;                         ///< of the training; another number may give another model
  int unk_id = 0, bos_id = -1, eos_id = 1, pad_id = 2;  ///< ids inside the model, -1: not present
};

/// The library's default: it would silently skip longer lines. With a larger limit, it ends the process if a word is a
/// million characters long.
inline constexpr std::size_t longest_training_line = 4192;  ///< bytes

/// Calls use(stretch) for stretches of `text` of at most `longest` bytes, which end at a space if there is one,
/// otherwise between UTF-8 characters. The space is left out.
template <class Use>
void for_each_stretch(std::string_view text, std::size_t longest, Use use) {
  while (text.size() > longest) {
    auto end = text.rfind(' ', longest);
    const bool at_space = end != std::string_view::npos && end > 0;
    if (!at_space)
      for (end = longest; end > 1 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80;) --end;
    use(text.substr(0, end));
    text.remove_prefix(at_space ? end + 1 : end);
  }
  use(text);
}

/// Learns a model from `lines` (UTF-8) and writes it to `path`, all or nothing. Lines longer than 4,192 bytes are cut
/// into stretches of that size, at spaces. Small texts may give fewer pieces than requested. Throws ConfigError for
/// options out of range and FileError if the library refuses (no text, more distinct characters than pieces) or the
/// file cannot be written.
void train_sentencepiece(std::span<const std::string> lines, const std::string& path,
                         const SentencePieceOptions& options);

/// A trained model. Construction throws FileError; all const functions may be called from several threads at once.
class SentencePiece {
 public:
  explicit SentencePiece(const std::string& path);

  /// Throws ConfigError for a text of more than 8 MiB, which the library may not hold.
  std::vector<std::string> pieces(std::string_view text) const;

  std::vector<int> ids(std::string_view text) const;

  /// The text of `pieces`. A piece that the model does not know is taken literally.
  std::string decode(const std::vector<std::string>& pieces) const;

  int size() const;

  /// Piece `id`, 0 ≤ id < size().
  const std::string& piece(int id) const;

  const std::string& path() const noexcept { return path_; }

 private:
  /// The library counts bytes in an int.
  static void require_length(std::string_view text);

  std::string path_;
  std::shared_ptr<const sentencepiece::SentencePieceProcessor> processor_;  // immutable, so copies share it
};

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/tokenizers/impl/sentencepiece.hpp"
#endif
