// Byte-level byte pair encoding, the tokenizer of GPT-2 and RoBERTa: text → added tokens and words (AddedTokens,
// WordSplitter) → bytes → pieces, by merges of neighbours. Where every byte is a piece, as in what `train` learns, any
// bytes come back from their ids:
//   decode(encode_ordinary(bytes)) = bytes, where add_prefix_space and nfc are off.
// A folder holds tokenizer.json, or vocab.json and merges.txt, and tokenizer_config.json, as HF writes and reads them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/text/tokenizers/added_tokens.hpp"
#include "neural_attention/text/tokenizers/bpe_merges.hpp"
#include "neural_attention/text/tokenizers/bpe_training.hpp"
#include "neural_attention/text/tokenizers/byte_bpe_files.hpp"
#include "neural_attention/text/tokenizers/byte_level.hpp"
#include "neural_attention/text/tokenizers/nfc.hpp"
#include "neural_attention/text/tokenizers/vocabulary_json.hpp"
#include "neural_attention/text/tokenizers/word_splitter.hpp"

namespace neural_attention::text {

struct ByteBpeOptions {
  int vocab_size = 16000;      ///< all pieces, special ones included; an upper bound
  std::int64_t min_count = 2;  ///< how often a pair must occur to become a piece
  bool add_prefix_space = false;
};

/// All const functions may be called from several threads at once.
class ByteBpe {
 public:
  static constexpr std::string_view bos = "<s>", pad = "<pad>", eos = "</s>", unk = "<unk>", mask = "<mask>";

  explicit ByteBpe(ByteBpeModel model) : model_(std::move(model)), added_(looked_for(model_)), table_(model_.merges) {
    StringMap<int> ids;
    for (int id = 0; id < vocab_size(); ++id) {
      const auto& piece = model_.pieces[static_cast<std::size_t>(id)];
      if (has_piece(id)) ids.emplace(piece, id);
      bytes_.push_back(unspell_bytes(piece).value_or(piece));
    }
    if (const auto found = ids.find(model_.unk_token); !model_.unk_token.empty() && found != ids.end())
      missing_ = found->second;
    for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
      const auto found = ids.find(spell_bytes(std::string(1, static_cast<char>(byte))));
      byte_ids_[byte] = found == ids.end() ? -1 : found->second;
    }
    special_.resize(model_.pieces.size());
    for (const auto& token : model_.added_tokens)
      if (token.special) special_[static_cast<std::size_t>(token.id)] = true;
    find_whole_words();
  }

  /// Reads a folder as RobertaTokenizerFast does: tokenizer.json where it exists, else vocab.json and merges.txt, whose
  /// special tokens are RoBERTa's, where they have ids, or GPT-2's <|endoftext|>, and take white space along where
  /// tokenizer_config.json or special_tokens_map.json says so. Whether a text is given a space in
  /// front is what tokenizer_config.json says, false where it says nothing. Throws FileError for what is missing,
  /// broken or not supported.
  static ByteBpe load(const std::string& directory) {
    const auto file = [&](const char* name) { return (std::filesystem::path(directory) / name).string(); };
    const auto exists = [&](const char* name) {
      std::error_code ignored;
      return std::filesystem::exists(file(name), ignored);
    };
    const bool one_file = exists("tokenizer.json");
    auto model = one_file ? byte_bpe_model(io::read_json(file("tokenizer.json")), file("tokenizer.json"))
                          : read_vocabulary_and_merges(file("vocab.json"), file("merges.txt"));
    if (!one_file) {
      if (exists("added_tokens.json"))
        throw FileError(file("added_tokens.json"), "is supported as a part of tokenizer.json only");
      model.added_tokens = usual_special_tokens(model.pieces);
      detail::take_white_space(directory, model.added_tokens);
    }
    const auto config = file("tokenizer_config.json");
    model.add_prefix_space =
        exists("tokenizer_config.json") && io::get_or<bool>(io::read_json(config), "add_prefix_space", false, config);
    return ByteBpe(std::move(model));
  }

  /// Reads one tokenizer.json as Hugging Face's Tokenizer.from_file does. Throws as above.
  static ByteBpe load_json(const std::string& path) { return ByteBpe(byte_bpe_model(io::read_json(path), path)); }

  /// Learns from `lines`, of any bytes. The ids are RoBERTa's: <s> 0, <pad> 1, </s> 2, <unk> 3, the 256 bytes, what was
  /// learned, <mask> last. A small text gives fewer pieces. Special tokens in the text are text, and
  /// words longer than 1,024 bytes are learned from in stretches of that size. Throws ConfigError
  /// where `vocab_size` leaves no room for the bytes, or there is no text.
  static ByteBpe train(std::span<const std::string> lines, const ByteBpeOptions& options = {}) {
    constexpr int specials = 5;
    if (options.vocab_size < specials + 256)
      throw ConfigError("a byte-level vocabulary needs at least " + std::to_string(specials + 256) + " pieces, not " +
                        std::to_string(options.vocab_size));
    const WordSplitter split;
    WordCounts counts;
    std::string copy;
    // A merge walks through the words that it changes, so a word of a million letters would be walked through for each.
    constexpr std::size_t longest_word = 1024;
    for (const auto& line : lines)
      split(prefixed(line, options.add_prefix_space, copy), [&](std::string_view word) {
        for (; word.size() > longest_word; word.remove_prefix(longest_word))
          count_word(counts, word.substr(0, longest_word));
        count_word(counts, word);
      });
    if (counts.empty()) throw ConfigError("a vocabulary cannot be learned from no text");

    const auto learned = learn_bpe(counts, static_cast<std::size_t>(options.vocab_size - specials), options.min_count);
    ByteBpeModel model;
    for (const auto piece : {bos, pad, eos, unk}) model.pieces.emplace_back(piece);
    const auto shift = static_cast<int>(model.pieces.size());
    for (const auto& piece : learned.pieces) model.pieces.push_back(spell_bytes(piece));
    for (const auto& [left, right, id] : learned.merges)
      model.merges.push_back({left + shift, right + shift, id + shift});
    model.pieces.emplace_back(mask);
    model.added_tokens = usual_special_tokens(model.pieces);
    model.add_prefix_space = options.add_prefix_space;
    return ByteBpe(std::move(model));
  }

  /// Writes vocab.json, merges.txt, tokenizer.json and tokenizer_config.json; the folder is created where missing.
  /// `model_max_length` is for HF's truncation. Throws FileError.
  void save(const std::string& directory, int model_max_length = 512) const {
    const std::filesystem::path folder(directory);
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) throw FileError(directory, "cannot be created: " + error.message());
    write_vocabulary(model_, (folder / "vocab.json").string());
    write_merges(model_, (folder / "merges.txt").string());
    io::write_json(folder / "tokenizer.json", to_json(model_));
    io::write_json(folder / "tokenizer_config.json",
                   {{"tokenizer_class", find(mask) < 0 ? "GPT2Tokenizer" : "RobertaTokenizer"},
                    {"add_prefix_space", model_.add_prefix_space},
                    {"model_max_length", model_max_length},
                    {"clean_up_tokenization_spaces", false}});
  }

  /// Ids of `text`, in which added tokens are found; <s> and </s> are not put around it. Throws ConfigError for a text
  /// of 4 GiB or more.
  std::vector<int> encode(std::string_view text) const {
    std::vector<int> ids;
    Encoder encoder(*this);
    std::vector<TokenStretch> stretches, parts;
    std::string copy;
    added_.cut(text, false, stretches);
    for (const auto& stretch : stretches) {
      if (stretch.id >= 0) {
        ids.push_back(stretch.id);
        continue;
      }
      parts.clear();
      added_.cut(in_form(stretch.text, copy), true, parts);
      for (const auto& part : parts) {
        if (part.id >= 0)
          ids.push_back(part.id);
        else
          encoder(part.text, ids);
      }
    }
    return ids;
  }

  /// Ids of `text` as ordinary text, "<mask>" too. Throws as above.
  std::vector<int> encode_ordinary(std::string_view text) const {
    std::vector<int> ids;
    Encoder encoder(*this);
    std::string copy;
    encoder(in_form(text, copy), ids);
    return ids;
  }

  /// <s>, the ids of `text`, </s>. Throws ConfigError where the vocabulary lacks one of the two.
  std::vector<int> encode_sequence(std::string_view text) const {
    auto ids = encode(text);
    ids.insert(ids.begin(), bos_id());
    ids.push_back(eos_id());
    return ids;
  }

  /// The bytes of `ids`, which may end in the middle of a character. Special tokens are left out or stand as they are
  /// written. Throws ConfigError for an id that is not in the vocabulary.
  std::string decode(std::span<const int> ids, bool skip_special_tokens = false) const {
    std::string text;
    for (const int id : ids) {
      const auto place = checked(id);
      if (!skip_special_tokens || !special_[place]) text += bytes_[place];
    }
    return text;
  }

  /// One more than the largest id.
  int vocab_size() const { return static_cast<int>(model_.pieces.size()); }
  bool has_piece(int id) const { return model_.has(id); }
  bool is_special(int id) const { return special_[checked(id)]; }

  /// The piece with this id in GPT-2's spelling. Throws ConfigError where it has none.
  const std::string& piece(int id) const { return model_.pieces[checked(id)]; }

  /// Ids of RoBERTa's special tokens. Throw ConfigError where they are no added tokens of this vocabulary.
  int bos_id() const { return special_id(bos); }
  int pad_id() const { return special_id(pad); }
  int eos_id() const { return special_id(eos); }
  int unk_id() const { return special_id(unk); }
  int mask_id() const { return special_id(mask); }

  const ByteBpeModel& model() const { return model_; }

 private:
  /// Encodes ordinary text; it keeps its memory between calls and serves one thread.
  class Encoder {
   public:
    explicit Encoder(const ByteBpe& bpe) : bpe_(bpe), merge_(bpe.table_) {}

    void operator()(std::string_view text, std::vector<int>& ids) {
      if (text.size() >= std::numeric_limits<std::uint32_t>::max())
        throw ConfigError("a text of " + std::to_string(text.size()) + " bytes is too long to be encoded at once");
      bpe_.split_(prefixed(text, bpe_.model_.add_prefix_space, copy_), [&](std::string_view word) {
        if (word.size() <= bpe_.longest_word_) {
          if (const auto found = bpe_.words_.find(word); found != bpe_.words_.end()) {
            ids.push_back(found->second);
            return;
          }
        }
        symbols_.clear();
        bool fuse = false;
        for (const char byte : word) {
          const int id = bpe_.byte_ids_[static_cast<unsigned char>(byte)];
          if (id >= 0)
            symbols_.push_back(id);
          else if (bpe_.missing_ >= 0 && !fuse)
            symbols_.push_back(bpe_.missing_);
          fuse = id < 0 && bpe_.model_.fuse_unk;
        }
        merge_(symbols_);
        ids.insert(ids.end(), symbols_.begin(), symbols_.end());
      });
    }

   private:
    const ByteBpe& bpe_;
    BpeMerger merge_;
    std::vector<int> symbols_;
    std::string copy_;
  };

  /// RoBERTa's special tokens, as far as they have ids; GPT-2's where <s> has none.
  static std::vector<AddedToken> usual_special_tokens(const std::vector<std::string>& pieces) {
    std::vector<AddedToken> tokens;
    bool roberta = false;
    for (std::size_t id = 0; id < pieces.size(); ++id) {
      const std::string_view piece = pieces[id];
      if (piece != bos && piece != pad && piece != eos && piece != unk && piece != mask) continue;
      tokens.push_back({pieces[id], static_cast<int>(id), piece == mask, false, false, true});
      roberta = roberta || piece == bos;
    }
    if (roberta) return tokens;
    for (std::size_t id = 0; id < pieces.size(); ++id)
      if (pieces[id] == "<|endoftext|>")
        tokens.push_back({pieces[id], static_cast<int>(id), false, false, false, true});
    return tokens;
  }

  /// `text` with a space in front where asked for and there is none; `copy` may hold it.
  static std::string_view prefixed(std::string_view text, bool add_space, std::string& copy) {
    if (!add_space || text.empty() || text.starts_with(' ')) return text;
    copy = ' ';
    copy += text;
    return copy;
  }

  /// The tokens as they are looked for: those that are normalized, in form C where the text is.
  static std::vector<AddedToken> looked_for(const ByteBpeModel& model) {
    auto tokens = model.added_tokens;
    for (auto& token : tokens)
      if (model.nfc && token.normalized) token.content = nfc(token.content);
    return tokens;
  }

  /// Ordinary text as the pieces expect it; `copy` may hold it.
  std::string_view in_form(std::string_view text, std::string& copy) const {
    return model_.nfc ? std::string_view(copy = nfc(text)) : text;
  }

  /// Most words of a text are one piece. Which pieces can be such words is found here, so that they are not merged.
  void find_whole_words() {
    BpeMerger merge(table_);
    std::vector<int> symbols;
    for (std::size_t id = 0; id < bytes_.size(); ++id) {
      if (bytes_[id].empty() || !unspell_bytes(model_.pieces[id])) continue;
      if (!model_.ignore_merges) {
        symbols.clear();
        for (const char byte : bytes_[id]) symbols.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
        if (std::find(symbols.begin(), symbols.end(), -1) != symbols.end()) continue;
        merge(symbols);
        if (symbols.size() != 1 || symbols[0] != static_cast<int>(id)) continue;
      }
      words_.emplace(bytes_[id], static_cast<int>(id));
      longest_word_ = std::max(longest_word_, bytes_[id].size());
    }
  }

  int find(std::string_view content) const {
    for (const auto& token : model_.added_tokens)
      if (token.content == content) return token.id;
    return -1;
  }
  int special_id(std::string_view content) const {
    const int id = find(content);
    if (id < 0) throw ConfigError("the vocabulary has no special token " + std::string(content));
    return id;
  }
  std::size_t checked(int id) const {
    if (!has_piece(id))
      throw ConfigError("token id " + std::to_string(id) + " is not in the vocabulary of " +
                        std::to_string(vocab_size()));
    return static_cast<std::size_t>(id);
  }

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
