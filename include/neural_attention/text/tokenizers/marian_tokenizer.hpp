// HF's MarianTokenizer: text → SentencePiece pieces (source.spm, target.spm) → ids of one vocab.json, then </s>.
//   source_ids("Ein Hund") = [id("▁Ein"), id("▁Hund"), id("</s>")];  decode drops </s>, <unk>, <pad> and joins pieces.
// A folder holds source.spm, target.spm, vocab.json and tokenizer_config.json, as HF writes and reads them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/tokenizers/marian_vocabulary.hpp"
#include "neural_attention/text/tokenizers/sentencepiece.hpp"

namespace neural_attention::text {

/// The settings that `MarianTokenizer::train` writes into tokenizer_config.json, and the settings of its training.
struct MarianTokenizerOptions {
  std::string source_lang = "de", target_lang = "en";
  std::string model_type = "unigram";
  double character_coverage = 1.0;
  int threads = 4;             ///< of the training; another number may give another model
  int model_max_length = 512;  ///< for HF's truncation
};

/// The value of clean_up_tokenization_spaces in tokenizer_config.json; false if there is none. Throws FileError for a
/// broken file and for one that asks for separate vocabularies.
bool read_clean_up_spaces(const std::string& path);

/// All const functions may be called from several threads at once.
class MarianTokenizer {
 public:
  /// Reads a folder. tokenizer_config.json may be absent. Throws FileError for a missing or broken file, a vocabulary
  /// that lacks a special piece, and for what is not supported: separate vocabularies, tokens that are added or have
  /// other names than </s>, <unk> and <pad>, and settings of SentencePiece.
  static MarianTokenizer load(const std::string& directory);

  /// Learns one joint model from both languages and writes the folder, which is created if missing. `vocab_size`
  /// includes the special pieces; a text that is too small gives fewer pieces, then a multiple of 8 if possible. Throws
  /// as train_sentencepiece does.
  static MarianTokenizer train(std::span<const std::string> source, std::span<const std::string> target, int vocab_size,
                               const std::string& directory, const MarianTokenizerOptions& options = {});

  /// Ids of a source sentence, </s> last. Valid UTF-8 is expected; anything is accepted, also an empty text.
  std::vector<int> source_ids(std::string_view text) const { return encode(text, source_); }

  /// Ids of a target sentence, </s> last.
  std::vector<int> target_ids(std::string_view text) const { return encode(text, target_); }

  /// The target text of `ids`, without special pieces and outer white space. Throws ConfigError for an id that is not
  /// in the vocabulary. `clean_up` says whether English clean-up follows.
  std::string decode(std::span<const int> ids, bool clean_up) const;
  std::string decode(std::span<const int> ids) const { return decode(ids, clean_up_spaces_); }

  /// Removes the spaces that English tokenizers put before punctuation marks and contractions, in HF's order.
  static std::string clean_up_english(std::string text);

  /// HF's setting clean_up_tokenization_spaces: the value in the folder, or false if it has none. HF 4 took true then.
  bool clean_up_spaces() const { return clean_up_spaces_; }
  void set_clean_up_spaces(bool value) { clean_up_spaces_ = value; }

  int vocab_size() const { return vocabulary_.size(); }
  bool has_piece(int id) const { return vocabulary_.has_piece(id); }
  int eos_id() const { return vocabulary_.eos_id(); }
  int unk_id() const { return vocabulary_.unk_id(); }
  int pad_id() const { return vocabulary_.pad_id(); }
  const MarianVocabulary& vocabulary() const { return vocabulary_; }

 private:
  struct Segment {
    std::string_view text;
    bool special;
  };

  MarianTokenizer(SentencePiece source, SentencePiece target, MarianVocabulary vocabulary)
      : source_(std::move(source)), target_(std::move(target)), vocabulary_(std::move(vocabulary)) {}

  /// Cuts at literal special pieces. The model itself drops the white space at the ends of a segment.
  static std::vector<Segment> split_specials(std::string_view text);

  static std::string_view special_at(std::string_view text);

  /// The language code at the very beginning of `text`, from `>>` to the first `<<`; empty if there is none. It is a
  /// token of its own, and `<unk>` if the vocabulary lacks it.
  static std::string_view language_code(std::string_view text);

  std::vector<int> encode(std::string_view text, const SentencePiece& model) const;

  /// </s>, <unk>, the pieces in the model's order (the most probable first), <pad>.
  static std::vector<std::string> marian_order(const SentencePiece& model);

  static void write_config(const std::string& path, const MarianTokenizerOptions& options);

  SentencePiece source_, target_;
  MarianVocabulary vocabulary_;
  bool clean_up_spaces_ = false;
};

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/tokenizers/impl/marian_tokenizer.hpp"
#endif
