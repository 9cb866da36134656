// SentencePiece (Kudo and Richardson, 2018): text to subword pieces and back, through the sentencepiece library. The
// library's status codes become FileError. A model learns from lines in memory and depends only on them and on the
// options: the number of training threads is an option with a fixed default because it changes the order of sums.
#pragma once

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <limits>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/text/tokenizers/sentencepiece_check.hpp"

namespace neural_attention::text {

struct SentencePieceOptions {
  int vocab_size = 8000;                   ///< all pieces, special ones included; an upper bound
  std::string model_type = "unigram";      ///< unigram, bpe, char or word
  double character_coverage = 1.0;         ///< share of the characters that get pieces of their own, 0.98 to 1
  std::string normalization = "nmt_nfkc";  ///< nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf or identity
  int threads = 4;                         ///< of the training; another number may give another model
  int unk_id = 0, bos_id = -1, eos_id = 1, pad_id = 2;  ///< ids inside the model, -1: not present
};

/// Hands lines in memory to the trainer. The library prescribes the virtual functions.
class LineIterator final : public sentencepiece::SentenceIterator {
 public:
  explicit LineIterator(std::span<const std::string> lines) : lines_(lines) {}

  bool done() const override { return next_ == lines_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return lines_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::span<const std::string> lines_;
  std::size_t next_ = 0;
};

/// The library's message, which may hold text of a file.
inline std::string message_of(const sentencepiece::util::Status& status) {
  const auto quoted = in_quotes(status.error_message(), 300);
  return quoted.substr(1, quoted.size() - 2);
}

/// The library reads numbers from streams, which follow std::locale's global locale: so must what it is given.
inline std::string text_for_library(double value) {
  std::ostringstream text;
  text.precision(std::numeric_limits<double>::max_digits10);
  text << value;
  return text.str();
}

/// The library's default; it would leave out longer lines without a word. With a larger limit it ends the process where
/// a word is a million characters long.
inline constexpr std::size_t longest_training_line = 4192;  // bytes

/// Calls use(stretch) for stretches of `text` of at most `longest` bytes, which end at a space where there is one, else
/// between characters of UTF-8. The space is left out.
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

/// Learns a model from `lines` (UTF-8) and writes it to `path`, all or nothing. Lines longer than 4,192 bytes are
/// learned from in stretches of that size, cut at spaces. Small texts may give fewer pieces than asked for. Throws
/// ConfigError for options out of range and FileError where the library refuses (no text, more distinct characters than
/// pieces) or the file cannot be written.
inline void train_sentencepiece(std::span<const std::string> lines, const std::string& path,
                                const SentencePieceOptions& options) {
  if (options.vocab_size < 1) throw ConfigError("a SentencePiece vocabulary needs at least one piece");
  if (!(options.character_coverage >= 0.98 && options.character_coverage <= 1))
    throw ConfigError("the character coverage must be from 0.98 to 1, not " + number_text(options.character_coverage));
  if (options.threads < 1 || options.threads > 128)
    throw ConfigError("SentencePiece trains with 1 to 128 threads, not " + std::to_string(options.threads));

  if (std::all_of(lines.begin(), lines.end(), [](const std::string& line) { return line.empty(); }))
    throw FileError(path, "cannot be trained: the text has no characters");
  std::vector<std::string> cut;
  if (std::any_of(lines.begin(), lines.end(), [](const auto& line) { return line.size() > longest_training_line; })) {
    for (const auto& line : lines)
      for_each_stretch(line, longest_training_line, [&](std::string_view stretch) { cut.emplace_back(stretch); });
    lines = cut;
  }

  const std::unordered_map<std::string, std::string> arguments = {
      {"vocab_size", std::to_string(options.vocab_size)},
      {"model_type", options.model_type},
      {"character_coverage", text_for_library(options.character_coverage)},
      {"normalization_rule_name", options.normalization},
      {"num_threads", std::to_string(options.threads)},
      {"unk_id", std::to_string(options.unk_id)},
      {"bos_id", std::to_string(options.bos_id)},
      {"eos_id", std::to_string(options.eos_id)},
      {"pad_id", std::to_string(options.pad_id)},
      {"max_sentence_length", std::to_string(longest_training_line)},
      {"hard_vocab_limit", "false"},
      {"minloglevel", "3"},
  };
  LineIterator iterator(lines);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(arguments, &iterator, &model);
  if (!status.ok()) throw FileError(path, "cannot be trained: " + message_of(status));
  io::write_file_atomically(path, model);
}

/// A trained model. Construction throws FileError; all const functions may be called from several threads at once.
class SentencePiece {
 public:
  explicit SentencePiece(const std::string& path) : path_(path) {
    const io::MappedFile file(path);
    const std::string_view model(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    check_sentencepiece_model(model, path);
    const auto processor = std::make_shared<sentencepiece::SentencePieceProcessor>();
    try {
      const auto status = processor->LoadFromSerializedProto({model.data(), model.size()});
      if (!status.ok()) throw FileError(path, "is no SentencePiece model: " + message_of(status));
    } catch (const FileError&) {
      throw;
    } catch (const std::exception& error) {  // of the double array that the library makes of the pieces
      throw FileError(path,
                      "is no SentencePiece model: the library cannot load it (" + std::string(error.what()) + ")");
    }
    if (processor->GetPieceSize() == 0) throw FileError(path, "is no SentencePiece model: it has no pieces");
    processor_ = processor;
  }

  /// Throws ConfigError for a text of more than 64 MiB, which the library may not hold.
  std::vector<std::string> pieces(std::string_view text) const {
    std::vector<std::string> result;
    require_length(text);
    check(processor_->Encode(text, &result), "encode a text");
    return result;
  }

  std::vector<int> ids(std::string_view text) const {
    std::vector<int> result;
    require_length(text);
    check(processor_->Encode(text, &result), "encode a text");
    return result;
  }

  /// The text of `pieces`. A piece that the model does not know stands for itself.
  std::string decode(const std::vector<std::string>& pieces) const {
    std::string result;
    check(processor_->Decode(pieces, &result), "decode pieces");
    return result;
  }

  int size() const { return processor_->GetPieceSize(); }

  /// Piece `id`, 0 ≤ id < size().
  const std::string& piece(int id) const {
    if (id < 0 || id >= size())
      throw ConfigError("piece " + std::to_string(id) + " does not exist, the model has " + std::to_string(size()));
    return processor_->IdToPiece(id);
  }

  const std::string& path() const noexcept { return path_; }

 private:
  /// The library counts bytes in an int.
  static void require_length(std::string_view text) {
    constexpr std::size_t longest = std::size_t{1} << 23;
    if (text.size() > longest)
      throw ConfigError("a text of " + std::to_string(text.size()) +
                        " bytes is too long to be encoded at once, at most " + std::to_string(longest) +
                        " are possible");
  }

  void check(const sentencepiece::util::Status& status, const char* action) const {
    if (!status.ok()) throw FileError(path_, std::string("cannot ") + action + ": " + message_of(status));
  }

  std::string path_;
  std::shared_ptr<const sentencepiece::SentencePieceProcessor> processor_;  // immutable, so copies share it
};

}  // namespace neural_attention::text
