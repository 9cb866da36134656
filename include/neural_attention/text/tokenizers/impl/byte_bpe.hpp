// Definitions of what text/tokenizers/byte_bpe.hpp declares.
#pragma once

#include <algorithm>
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

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/optional_file.hpp"
#include "neural_attention/text/tokenizers/added_tokens.hpp"
#include "neural_attention/text/tokenizers/bpe_merges.hpp"
#include "neural_attention/text/tokenizers/bpe_training.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"
#include "neural_attention/text/tokenizers/byte_bpe_files.hpp"
#include "neural_attention/text/tokenizers/byte_level.hpp"
#include "neural_attention/text/tokenizers/nfc.hpp"
#include "neural_attention/text/tokenizers/vocabulary_json.hpp"
#include "neural_attention/text/tokenizers/word_splitter.hpp"

namespace neural_attention::text {

/// Encodes ordinary text; it keeps its memory between calls and serves one thread.
class ByteBpe::Encoder {
 public:
  explicit Encoder(const ByteBpe& bpe) : bpe_(bpe), merge_(bpe.table_) {}

  void operator()(std::string_view text, std::vector<int>& ids) {
    operator()(text, ids, [](std::size_t) {});
  }

  /// Calls after_word(bytes) with the bytes of `text` that are done.
  void operator()(std::string_view text, std::vector<int>& ids, auto&& after_word) {
    if (text.size() >= std::numeric_limits<std::uint32_t>::max())
      throw ConfigError("a text of " + std::to_string(text.size()) + " bytes is too long to be encoded at once");
    const auto whole = prefixed(text, bpe_.model_.add_prefix_space, copy_);
    const auto before = whole.size() - text.size();
    bpe_.split_(whole, [&](std::string_view word) {
      add_word(word, ids);
      after_word(static_cast<std::size_t>(word.data() + word.size() - whole.data()) - before);
    });
  }

 private:
  void add_word(std::string_view word, std::vector<int>& ids) {
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
  }

  const ByteBpe& bpe_;
  BpeMerger merge_;
  std::vector<int> symbols_;
  std::string copy_;
};

NEURAL_ATTENTION_INLINE ByteBpe::ByteBpe(ByteBpeModel model)
    : model_(std::move(model)), added_(looked_for(model_)), table_(model_.merges) {
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

NEURAL_ATTENTION_INLINE ByteBpe ByteBpe::load(const std::string& directory) {
  const auto file = [&](const char* name) { return (std::filesystem::path(directory) / name).string(); };
  const auto exists = [&](const char* name) { return io::is_there(file(name)); };
  const bool one_file = exists("tokenizer.json");
  auto model = one_file ? byte_bpe_model(io::read_json(file("tokenizer.json")), file("tokenizer.json"))
                        : read_vocabulary_and_merges(file("vocab.json"), file("merges.txt"));
  if (!one_file) {
    if (exists("added_tokens.json"))
      throw FileError(file("added_tokens.json"), "is supported as a part of tokenizer.json only");
    model.added_tokens = usual_special_tokens(model.pieces);
    detail::take_white_space(directory, model.added_tokens);
  }
  detail::take_settings(directory, one_file, model);
  return ByteBpe(std::move(model));
}

NEURAL_ATTENTION_INLINE ByteBpe ByteBpe::load_json(const std::string& path) {
  return ByteBpe(byte_bpe_model(io::read_json(path), path));
}

NEURAL_ATTENTION_INLINE ByteBpe ByteBpe::train(std::span<const std::string> lines, const ByteBpeOptions& options) {
  const HostWork work("learning a vocabulary");
  using Names = std::vector<std::string_view>;
  const bool roberta = options.specials == SpecialTokens::Roberta;
  const auto first = roberta ? Names{bos, pad, eos, unk} : Names{};
  const int specials = static_cast<int>(first.size()) + 1;
  if (options.vocab_size < specials + 256)
    throw ConfigError("a byte-level vocabulary needs at least " + std::to_string(specials + 256) + " pieces, not " +
                      std::to_string(options.vocab_size));
  const WordSplitter split;
  WordCounts counts;
  std::string copy;
  // A merge walks through the words that it changes, so each merge would walk through a word of a million letters.
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
  for (const auto piece : first) model.pieces.emplace_back(piece);
  const auto shift = static_cast<int>(model.pieces.size());
  for (const auto& piece : learned.pieces) model.pieces.push_back(spell_bytes(piece));
  for (const auto& [left, right, id] : learned.merges)
    model.merges.push_back({left + shift, right + shift, id + shift});
  model.pieces.emplace_back(roberta ? mask : end_of_text);
  model.added_tokens = usual_special_tokens(model.pieces);
  model.add_prefix_space = options.add_prefix_space;
  return ByteBpe(std::move(model));
}

NEURAL_ATTENTION_INLINE void ByteBpe::save(const std::string& directory, int model_max_length) const {
  const std::filesystem::path folder(directory);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw FileError(directory, "cannot be created: " + error.message());
  write_vocabulary(model_, (folder / "vocab.json").string());
  write_merges(model_, (folder / "merges.txt").string());
  io::write_json(folder / "tokenizer.json", to_json(model_));
  nlohmann::json config = {{"tokenizer_class", find(mask) < 0 ? "GPT2Tokenizer" : "RobertaTokenizer"},
                           {"add_prefix_space", model_.add_prefix_space},
                           {"model_max_length", model_max_length},
                           {"clean_up_tokenization_spaces", false}};
  // Under those classes Hugging Face makes the tokenizer anew, without these settings.
  int byte = 0;
  if (model_.nfc || model_.ignore_merges || (!model_.unk_token.empty() && !has_all_bytes(model_, byte))) {
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
    for (const auto& [role, token] : {std::pair("bos_token", bos),
                                      {"eos_token", eos},
                                      {"unk_token", unk},
                                      {"pad_token", pad},
                                      {"mask_token", mask},
                                      {"bos_token", end_of_text},
                                      {"eos_token", end_of_text}})
      if (find(token) >= 0 && !config.contains(role)) config[role] = token;
  }
  io::write_json(folder / "tokenizer_config.json", config);
}

NEURAL_ATTENTION_INLINE std::vector<int> ByteBpe::encode(std::string_view text) const {
  std::vector<int> ids;
  encode(text, ids, [](std::size_t) {});
  return ids;
}

NEURAL_ATTENTION_INLINE void ByteBpe::encode(std::string_view text, const OnIds& take) const {
  std::vector<int> ids;
  encode(text, ids, [&](std::size_t done) {
    if (ids.size() < ids_at_once) return;
    take(ids, done);
    ids.clear();
  });
  take(ids, text.size());
}

void ByteBpe::encode(std::string_view text, std::vector<int>& ids, auto&& on_progress) const {
  Encoder encoder(*this);
  std::vector<TokenStretch> stretches, parts;
  std::string copy;
  added_.cut(text, AddedTokens::Of::Written, stretches);
  for (const auto& stretch : stretches) {
    if (stretch.id >= 0) {
      ids.push_back(stretch.id);
      continue;
    }
    // In another form a text may be longer or shorter.
    const auto before = static_cast<std::size_t>(stretch.text.data() - text.data());
    const auto formed = in_form(stretch.text, copy);
    parts.clear();
    added_.cut(formed, AddedTokens::Of::Normalized, parts);
    for (const auto& part : parts) {
      if (part.id >= 0) {
        ids.push_back(part.id);
        continue;
      }
      const auto in_stretch = static_cast<std::size_t>(part.text.data() - formed.data());
      encoder(part.text, ids,
              [&](std::size_t bytes) { on_progress(before + std::min(in_stretch + bytes, stretch.text.size())); });
    }
  }
}

NEURAL_ATTENTION_INLINE std::vector<int> ByteBpe::encode_ordinary(std::string_view text) const {
  std::vector<int> ids;
  Encoder encoder(*this);
  std::string copy;
  encoder(in_form(text, copy), ids);
  return ids;
}

NEURAL_ATTENTION_INLINE std::vector<int> ByteBpe::encode_sequence(std::string_view text) const {
  auto ids = encode(text);
  ids.insert(ids.begin(), bos_id());
  ids.push_back(eos_id());
  return ids;
}

NEURAL_ATTENTION_INLINE std::string ByteBpe::decode(std::span<const int> ids, Specials specials) const {
  std::string text;
  for (const int id : ids) {
    const auto place = checked(id);
    if (specials == Specials::Kept || !special_[place]) text += bytes_[place];
  }
  return text;
}

NEURAL_ATTENTION_INLINE std::vector<AddedToken> ByteBpe::usual_special_tokens(const std::vector<std::string>& pieces) {
  std::vector<AddedToken> tokens;
  bool roberta = false;
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    const std::string_view piece = pieces[id];
    if (piece != bos && piece != pad && piece != eos && piece != unk && piece != mask) continue;
    tokens.push_back({.content = pieces[id], .id = static_cast<int>(id), .lstrip = piece == mask});
    roberta = roberta || piece == bos;
  }
  if (roberta) return tokens;
  for (std::size_t id = 0; id < pieces.size(); ++id)
    if (pieces[id] == end_of_text) tokens.push_back({.content = pieces[id], .id = static_cast<int>(id)});
  return tokens;
}

NEURAL_ATTENTION_INLINE std::string_view ByteBpe::prefixed(std::string_view text, bool add_space, std::string& copy) {
  if (!add_space || text.empty() || text.starts_with(' ')) return text;
  copy = ' ';
  copy += text;
  return copy;
}

NEURAL_ATTENTION_INLINE std::vector<AddedToken> ByteBpe::looked_for(const ByteBpeModel& model) {
  auto tokens = model.added_tokens;
  for (auto& token : tokens)
    if (model.nfc && token.normalized) token.content = nfc(token.content);
  return tokens;
}

NEURAL_ATTENTION_INLINE std::string_view ByteBpe::in_form(std::string_view text, std::string& copy) const {
  return model_.nfc ? std::string_view(copy = nfc(text)) : text;
}

NEURAL_ATTENTION_INLINE void ByteBpe::find_whole_words() {
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

NEURAL_ATTENTION_INLINE int ByteBpe::find(std::string_view content) const {
  for (const auto& token : model_.added_tokens)
    if (token.content == content) return token.id;
  return -1;
}

NEURAL_ATTENTION_INLINE int ByteBpe::special_id(std::string_view content) const {
  const int id = find(content);
  if (id < 0) throw ConfigError("the vocabulary has no special token " + std::string(content));
  return id;
}

NEURAL_ATTENTION_INLINE std::size_t ByteBpe::checked(int id) const {
  if (!has_piece(id))
    throw ConfigError("token id " + std::to_string(id) + " is not in the vocabulary of " +
                      std::to_string(vocab_size()));
  return static_cast<std::size_t>(id);
}

}  // namespace neural_attention::text
