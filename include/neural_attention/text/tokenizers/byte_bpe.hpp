// Byte-level byte pair encoding, the tokenizer of GPT-2 and RoBERTa: text → added tokens and words (AddedTokens,
// WordSplitter) → bytes → pieces, by merges of neighbours. If every byte is a piece, as after `train`, ids decode to
// the original bytes:
//   decode(encode_ordinary(bytes)) = bytes, if add_prefix_space and nfc are off.
// A folder holds tokenizer.json, or vocab.json and merges.txt, and tokenizer_config.json, as HF writes and reads them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/tokenizers/added_tokens.hpp"
#include "neural_attention/text/tokenizers/bpe_merges.hpp"
#include "neural_attention/text/tokenizers/bpe_training.hpp"
#include "neural_attention/text/tokenizers/byte_bpe_files.hpp"
#include "neural_attention/text/tokenizers/on_ids.hpp"
#include "neural_attention/text/tokenizers/word_borders.hpp"
#include "neural_attention/text/tokenizers/word_splitter.hpp"

namespace neural_attention::text {

/// The special tokens of a vocabulary that is learned.
enum class SpecialTokens {
  Roberta,  ///< <s> 0, <pad> 1, </s> 2, <unk> 3, and <mask>, the last
  Gpt2,     ///< <|endoftext|>, the last
};

struct ByteBpeOptions {
  int vocab_size = 16000;      ///< all pieces, special ones included; an upper bound
  std::int64_t min_count = 2;  ///< how often a pair must occur to become a piece
  bool add_prefix_space = false;
  SpecialTokens specials = SpecialTokens::Roberta;
};

/// All const functions may be called from several threads at once.
class ByteBpe {
 public:
  static constexpr std::string_view bos = "<s>", pad = "<pad>", eos = "</s>", unk = "<unk>", mask = "<mask>",
                                    end_of_text = "<|endoftext|>";

  explicit ByteBpe(ByteBpeModel model);

  /// Reads a folder as RobertaTokenizerFast does: tokenizer.json if it exists, otherwise vocab.json and merges.txt. The
  /// special tokens of the latter are RoBERTa's if they have ids, otherwise GPT-2's <|endoftext|>; they include white
  /// space if tokenizer_config.json or special_tokens_map.json says so. tokenizer_config.json also says whether a text
  /// gets a space in front; the default is no. If its tokenizer_class is neither RoBERTa's nor GPT-2's, such as
  /// PreTrainedTokenizerFast, tokenizer.json says that. Throws FileError for files that are missing, broken or not
  /// supported: also for tokens that are named but not in the vocabulary, and for NFC or ignore_merges under the two
  /// classes, where Hugging Face 4 applies them and 5 does not.
  static ByteBpe load(const std::string& directory);

  /// Reads one tokenizer.json as Hugging Face's Tokenizer.from_file does. Throws as above.
  static ByteBpe load_json(const std::string& path);

  /// Learns from `lines`, which may hold any bytes. The ids are RoBERTa's or GPT-2's: the special tokens that come
  /// first, the 256 bytes, the learned pieces, and the special token that comes last. A small text gives fewer pieces.
  /// Special tokens in the text count as ordinary text, and words longer than 1,024 bytes are cut into stretches of
  /// that size. Throws ConfigError if `vocab_size` leaves no room for the bytes, or if there is no text.
  static ByteBpe train(std::span<const std::string> lines, const ByteBpeOptions& options = {});

  /// Writes vocab.json, merges.txt, tokenizer.json and tokenizer_config.json; the folder is created if missing.
  /// `model_max_length` is for HF's truncation. The tokenizer_class is RoBERTa's or GPT-2's, or PreTrainedTokenizerFast
  /// for a model with settings that Hugging Face ignores under these. Throws FileError.
  void save(const std::string& directory, int model_max_length = 512) const;

  /// Ids of `text`, in which added tokens are found; <s> and </s> are not put around it. Throws ConfigError for a text
  /// of 4 GiB or more.
  std::vector<int> encode(std::string_view text) const;

  /// The same for a long text, whose ids `take` gets in pieces.
  void encode(std::string_view text, const OnIds& take) const;

  /// Where `text`, the beginning of a longer one, may be cut so that the ids of the parts are those of the whole: the
  /// last such place from `searched` on, or 0. Vocabularies with certain added tokens have none (reach_over_spaces).
  std::size_t last_border(std::string_view text, std::size_t searched = 0) const {
    return added_.reach_over_spaces() ? 0 : last_word_border(text, searched, model_.add_prefix_space);
  }

  /// Ids of `text` as ordinary text, "<mask>" too. Throws as above.
  std::vector<int> encode_ordinary(std::string_view text) const;

  /// <s>, the ids of `text`, </s>. Throws ConfigError if the vocabulary lacks one of the two.
  std::vector<int> encode_sequence(std::string_view text) const;

  /// Special tokens in decoded text: as they are written, or left out.
  enum class Specials { Kept, LeftOut };

  /// The bytes of `ids`, which may end in the middle of a character; an added token gives its content. Throws
  /// ConfigError for an id that is not in the vocabulary.
  std::string decode(std::span<const int> ids, Specials specials = Specials::Kept) const;

  /// One more than the largest id.
  int vocab_size() const { return static_cast<int>(model_.pieces.size()); }
  bool has_piece(int id) const { return model_.has(id); }
  bool is_special(int id) const { return special_[checked(id)]; }

  /// The piece with this id in GPT-2's spelling. Throws ConfigError if it has none.
  const std::string& piece(int id) const { return model_.pieces[checked(id)]; }

  /// Ids of RoBERTa's special tokens. Throw ConfigError if they are no added tokens of this vocabulary.
  int bos_id() const { return special_id(bos); }
  int pad_id() const { return special_id(pad); }
  int eos_id() const { return special_id(eos); }
  int unk_id() const { return special_id(unk); }
  int mask_id() const { return special_id(mask); }

  const ByteBpeModel& model() const { return model_; }

 private:
  class Encoder;

  /// Appends to `ids`, and calls on_progress(bytes) now and then with the bytes of `text` that are done; it may empty
  /// `ids`.
  void encode(std::string_view text, std::vector<int>& ids, auto&& on_progress) const;

  /// RoBERTa's special tokens, as far as they have ids; GPT-2's if <s> has none.
  static std::vector<AddedToken> usual_special_tokens(const std::vector<std::string>& pieces);

  /// `text` with a space in front if the settings ask for one and it is missing; `copy` may hold the result.
  static std::string_view prefixed(std::string_view text, bool add_space, std::string& copy);

  /// The tokens as they are searched for: normalized tokens in form C if the text is in form C.
  static std::vector<AddedToken> looked_for(const ByteBpeModel& model);

  /// Ordinary text in the form that the pieces expect; `copy` may hold the result.
  std::string_view in_form(std::string_view text, std::string& copy) const;

  /// Finds pieces that are whole words, because most words of a text are one piece and then need no merging.
  void find_whole_words();

  int find(std::string_view content) const;
  int special_id(std::string_view content) const;
  std::size_t checked(int id) const;

  ByteBpeModel model_;
  WordSplitter split_;
  AddedTokens added_;
  BpeMergeTable table_;
  std::array<int, 256> byte_ids_{};  // -1: there is none
  int missing_ = -1;                 // what stands for a byte without an id; -1: nothing
  std::vector<std::string> bytes_;   // of each piece
  std::vector<bool> special_;
  StringMap<int> words_;  // pieces that merging makes of their own bytes
  std::size_t longest_word_ = 0;
};

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/tokenizers/impl/byte_bpe.hpp"
#endif
