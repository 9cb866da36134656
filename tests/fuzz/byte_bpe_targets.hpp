// Byte-level BPE under test: texts of any bytes with a fixed vocabulary, and the files that vocabularies come in.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuzz/fuzz_target.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/text/tokenizers/byte_bpe.hpp"
#include "neural_attention/text/tokenizers/byte_level.hpp"

namespace fuzz {

/// A few hundred pieces with merges of letters, digits, spaces, symbols and parts of characters.
inline const neural_attention::text::ByteBpe& fixed_bpe() {
  static const auto bpe = [] {
    std::vector<std::string> lines;
    for (int i = 0; i < 40; ++i)
      lines.insert(lines.end(), {"The waves counted the keeper's waves, and they'll count her's 1200 1201 times.",
                                 "aaaaaaaa abababab ----====----    \t\t\n\n   x\u00a0\u00a0y",
                                 "Маяк 灯台は海 é\u0301é \U0001F41D\U0001F41D \u3000"});
    return neural_attention::text::ByteBpe::train(lines, {400, 2, false});
  }();
  return bpe;
}

/// The merges as their definition says: the earliest one that applies, at its leftmost place, until none applies.
inline void merge_slowly(const neural_attention::text::BpeMergeTable& table, std::vector<int>& ids) {
  for (;;) {
    int best = -1;
    std::size_t place = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i)
      if (const int rank = table.rank(ids[i], ids[i + 1]); rank >= 0 && (best < 0 || rank < best)) {
        best = rank;
        place = i;
      }
    if (best < 0) return;
    ids[place] = table.id(best);
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

/// A text of any bytes: its words are the text, each is merged as it should be, and the ids give the text back. Nothing
/// is refused; what is UTF-8 counts as taken.
inline bool byte_bpe(const std::string& path) {
  const neural_attention::io::MappedFile file(path);
  const std::string text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const auto& bpe = fixed_bpe();
  static const neural_attention::text::BpeMergeTable table(bpe.model().merges);
  static const neural_attention::text::WordSplitter split;
  static const auto byte_ids = [&] {
    std::vector<int> ids(256);
    for (int byte = 0; byte < 256; ++byte)
      ids[static_cast<std::size_t>(byte)] = bpe.encode_ordinary(std::string(1, static_cast<char>(byte))).at(0);
    return ids;
  }();

  const auto ids = bpe.encode_ordinary(text);
  require(bpe.decode(ids) == text, "ids give the bytes back");
  std::string joined;
  std::vector<int> expected, symbols;
  bool compared = true;
  split(text, [&](std::string_view word) {
    require(!word.empty(), "a word is not empty");
    joined += word;
    compared = compared && word.size() <= 256;  // the slow way is quadratic
    if (!compared) return;
    symbols.clear();
    for (const char byte : word) symbols.push_back(byte_ids[static_cast<unsigned char>(byte)]);
    merge_slowly(table, symbols);
    expected.insert(expected.end(), symbols.begin(), symbols.end());
  });
  require(joined == text, "the words of a text are the text");
  require(!compared || ids == expected, "a word is merged as defined");

  // "<mask>" takes the white space on its left along, nothing else is lost.
  const auto all = bpe.encode(text);
  const auto decoded = bpe.decode(all);
  std::size_t at = 0;
  for (const char byte : decoded) {
    while (at < text.size() && text[at] != byte) {
      const auto space = neural_attention::text::leading_white_space(std::string_view(text).substr(at));
      require(space > 0, "only white space is left out");
      at += space;
    }
    require(at < text.size(), "nothing is added");
    ++at;
  }
  require(at == text.size() && (decoded == text || text.find("<mask>") != std::string::npos),
          "only \"<mask>\" leaves something out");

  const auto border = bpe.last_border(text);
  auto parts = bpe.encode(std::string_view(text).substr(0, border));
  const auto behind = bpe.encode(std::string_view(text).substr(border));
  parts.insert(parts.end(), behind.begin(), behind.end());
  require(parts == all, "a text that is cut at a border has the same ids");

  std::size_t bad = 0;
  return neural_attention::valid_utf8(text, bad);
}

/// What was taken of the files of a vocabulary makes sense.
inline void require_model(const neural_attention::text::ByteBpeModel& model) {
  const auto piece = [&](int id) -> const std::string& {
    require(id >= 0 && static_cast<std::size_t>(id) < model.pieces.size(), "an id is that of a piece");
    return model.pieces[static_cast<std::size_t>(id)];
  };
  require(!model.pieces.empty(), "a vocabulary has pieces");
  for (const auto& merge : model.merges)
    require(piece(merge.left) + piece(merge.right) == piece(merge.id), "a merge makes what it joins");
  for (const int hole : model.holes) require(piece(hole).empty(), "an id without a piece has none");
  for (const auto& token : model.added_tokens)
    require(piece(token.id) == token.content && !token.content.empty(), "an added token has its id");
}

/// tokenizer.json: what was taken makes sense, and comes back from what we would write.
inline bool tokenizer_json(const std::string& path) {
  return reads(path, [](const std::string& name) {
    namespace io = neural_attention::io;
    const auto model = neural_attention::text::byte_bpe_model(io::read_json(name), name);
    require_model(model);
    const auto written = neural_attention::text::to_json(model).dump();
    const auto again = neural_attention::text::byte_bpe_model(io::parse_json(written, name), name);
    require(again.pieces == model.pieces && again.holes == model.holes && again.merges == model.merges &&
                again.added_tokens == model.added_tokens && again.add_prefix_space == model.add_prefix_space &&
                again.unk_token == model.unk_token && again.fuse_unk == model.fuse_unk &&
                again.ignore_merges == model.ignore_merges && again.nfc == model.nfc,
            "a tokenizer written again is the same");
    neural_attention::text::ByteBpe(model).encode("he \u00e9e\u0301 <mask>h\xff");
  });
}

/// merges.txt beside a fixed vocab.json, which has pieces of up to three letters: what was taken makes a tokenizer that
/// gives text back.
inline bool merges(const std::string& path) {
  static const MemoryFile vocabulary;
  if (static bool first = true; first) {
    first = false;
    std::vector<std::string> pieces = {"ab", "bc", "abc", "aa", "aaa", "aab", "Ġa", "Ġab", "<s>"};
    for (const auto byte : neural_attention::text::bytes_in_spelling_order())
      pieces.push_back(neural_attention::text::spell_bytes(std::string(1, static_cast<char>(byte))));
    nlohmann::json document;
    for (std::size_t id = 0; id < pieces.size(); ++id) document[pieces[id]] = id;
    vocabulary.replace(document.dump());
  }
  return reads(path, [](const std::string& name) {
    auto model = neural_attention::text::read_vocabulary_and_merges(vocabulary.path(), name);
    require_model(model);
    const neural_attention::text::ByteBpe bpe(std::move(model));
    const std::string text = "abc aab aaaab bcabc <s> ab\xFF";
    require(bpe.decode(bpe.encode(text)) == text, "ids give the bytes back");
  });
}

}  // namespace fuzz
