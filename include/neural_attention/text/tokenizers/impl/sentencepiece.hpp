// Definitions of what text/tokenizers/sentencepiece.hpp declares.
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
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/text/tokenizers/sentencepiece.hpp"
#include "neural_attention/text/tokenizers/sentencepiece_check.hpp"

namespace neural_attention::text {

/// Passes lines in memory to the trainer. The library prescribes the virtual functions.
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

/// The library's message, which may contain text of a file.
inline std::string message_of(const sentencepiece::util::Status& status) {
  const auto quoted = in_quotes(status.error_message(), 300);
  return quoted.substr(1, quoted.size() - 2);
}

/// Throws FileError, naming the model's path, if the library could not do as asked.
inline void require_ok(const sentencepiece::util::Status& status, const std::string& path, const char* action) {
  if (!status.ok()) throw FileError(path, std::string("cannot ") + action + ": " + message_of(status));
}

/// The library reads numbers from streams in the global locale (std::locale), so numbers must be written in it.
inline std::string text_for_library(double value) {
  std::ostringstream text;
  text.precision(std::numeric_limits<double>::max_digits10);
  text << value;
  return text.str();
}

NEURAL_ATTENTION_INLINE void train_sentencepiece(std::span<const std::string> lines, const std::string& path,
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

NEURAL_ATTENTION_INLINE SentencePiece::SentencePiece(const std::string& path) : path_(path) {
  const io::MappedFile file(path);
  const std::string_view model(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  check_sentencepiece_model(model, path);
  const auto processor = std::make_shared<sentencepiece::SentencePieceProcessor>();
  try {
    const auto status = processor->LoadFromSerializedProto({model.data(), model.size()});
    if (!status.ok()) throw FileError(path, "is not a SentencePiece model: " + message_of(status));
  } catch (const FileError&) {
    throw;
  } catch (const std::exception& error) {  // of the double array that the library makes of the pieces
    throw FileError(path,
                    "is not a SentencePiece model: the library cannot load it (" + std::string(error.what()) + ")");
  }
  if (processor->GetPieceSize() == 0) throw FileError(path, "is not a SentencePiece model: it has no pieces");
  processor_ = processor;
}

NEURAL_ATTENTION_INLINE std::vector<std::string> SentencePiece::pieces(std::string_view text) const {
  std::vector<std::string> result;
  require_length(text);
  require_ok(processor_->Encode(text, &result), path_, "encode a text");
  return result;
}

NEURAL_ATTENTION_INLINE std::vector<int> SentencePiece::ids(std::string_view text) const {
  std::vector<int> result;
  require_length(text);
  require_ok(processor_->Encode(text, &result), path_, "encode a text");
  return result;
}

NEURAL_ATTENTION_INLINE std::string SentencePiece::decode(const std::vector<std::string>& pieces) const {
  std::string result;
  require_ok(processor_->Decode(pieces, &result), path_, "decode pieces");
  return result;
}

NEURAL_ATTENTION_INLINE int SentencePiece::size() const { return processor_->GetPieceSize(); }

NEURAL_ATTENTION_INLINE const std::string& SentencePiece::piece(int id) const {
  if (id < 0 || id >= size())
    throw ConfigError("piece " + std::to_string(id) + " does not exist, the model has " + std::to_string(size()));
  return processor_->IdToPiece(id);
}

NEURAL_ATTENTION_INLINE void SentencePiece::require_length(std::string_view text) {
  constexpr std::size_t longest = std::size_t{1} << 23;
  if (text.size() > longest)
    throw ConfigError("a text of " + std::to_string(text.size()) +
                      " bytes is too long to be encoded at once, at most " + std::to_string(longest) + " are possible");
}

}  // namespace neural_attention::text
