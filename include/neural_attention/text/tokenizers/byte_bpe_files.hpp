// The files of byte-level BPE: vocab.json with merges.txt as GPT-2 has them (a merge a line, "Ġ t", the first line may
// be a "#version"), and tokenizer.json of Hugging Face's tokenizers. Of the latter's many forms one is supported: a BPE
// model after a ByteLevel pre-tokenizer with GPT-2's pattern, with the normalizer NFC or none; every other is refused.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/tokenizers/added_tokens.hpp"
#include "neural_attention/text/tokenizers/bpe_merges.hpp"
#include "neural_attention/text/tokenizers/vocabulary_json.hpp"

namespace neural_attention::text {

/// The content of the files. Pieces are in GPT-2's spelling, added tokens among them as they are.
struct ByteBpeModel : PieceTable {
  std::vector<BpeMerge> merges = {};  ///< the first one is applied first
  std::vector<AddedToken> added_tokens = {};
  bool add_prefix_space = false;  ///< a text that does not begin with a space is given one
  std::string unk_token = {};     ///< the piece of a byte that has none of its own; empty: such bytes are left out
  bool fuse_unk = false;          ///< several of them, side by side in a word, are one
  bool ignore_merges = false;     ///< a word that is a piece is that piece, whatever the merges make of it
  bool nfc = false;               ///< ordinary text is brought into Unicode's form C first
};

namespace detail {

/// Special tokens that a folder describes beside vocab.json take white space along as it says: in tokenizer_config.json
/// under added_tokens_decoder, else in special_tokens_map.json, else in tokenizer_config.json by their names; without
/// all of these they take none.
void take_white_space(const std::string& directory, std::vector<AddedToken>& tokens);

/// Takes add_prefix_space from tokenizer_config.json, unless `one_file`, tokenizer.json, counts under its
/// tokenizer_class. Throws FileError for what is not supported: tokens that are not in the model, <s> or </s> put
/// around by add_bos_token or add_eos_token, and settings of tokenizer.json that Hugging Face 5 ignores under the
/// class.
void take_settings(const std::string& directory, bool one_file, ByteBpeModel& model);

}  // namespace detail

/// Whether each of the 256 bytes has a piece; else `missing` is one that has none.
bool has_all_bytes(const PieceTable& table, int& missing);

/// Reads vocab.json and merges.txt; there are no added tokens yet. Bytes without a piece are <unk>, as they were in
/// Hugging Face's tokenizers until version 5, which leaves them out. Throws FileError for files that are missing or no
/// such files, and if such a byte finds no <unk>; LineError for a merge that is broken, occurs twice, or joins or
/// makes what has no id.
ByteBpeModel read_vocabulary_and_merges(const std::string& vocabulary_path, const std::string& merges_path);

/// The content of a tokenizer.json; `path` is the file that it came from. Truncation and padding, which it may hold,
/// are ignored. Throws FileError for broken files and unsupported settings.
ByteBpeModel byte_bpe_model(nlohmann::json document, const std::string& path);

/// Writes merges.txt, all or nothing. Throws FileError.
void write_merges(const ByteBpeModel& model, const std::string& path);

/// The tokenizer.json of `model`, with RoBERTa's post-processor if it has <s> and </s>.
nlohmann::json to_json(const ByteBpeModel& model);

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/tokenizers/impl/byte_bpe_files.hpp"
#endif
