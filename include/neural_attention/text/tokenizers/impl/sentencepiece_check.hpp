// Definitions of what text/tokenizers/sentencepiece_check.hpp declares.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/text/tokenizers/sentencepiece_check.hpp"

namespace neural_attention::text {

namespace detail {

/// The fields of a message, one after another. Stricter than protocol buffers where those are lenient, so that both
/// see the same fields: no groups, no zero field, tags of one to three bytes without leading zeros.
class ProtoFields {
 public:
  enum Kind { varint = 0, eight_bytes = 1, bytes = 2, four_bytes = 5 };

  ProtoFields(std::string_view message, const std::string& path) : rest_(message), path_(path) {}

  /// False at the end.
  bool next() {
    if (rest_.empty()) return false;
    const auto before = rest_.size();
    const auto tag = read_varint();
    const auto length = before - rest_.size();
    field = static_cast<int>(tag >> 3);
    kind = static_cast<Kind>(tag & 7);
    if (tag >> 21 != 0 || length > 3 || (length > 1 && tag >> (7 * (length - 1)) == 0) || field == 0) damaged();
    value = {};
    number = 0;
    if (kind == varint)
      number = read_varint();
    else if (kind == eight_bytes || kind == four_bytes)
      value = take(kind == eight_bytes ? 8 : 4);
    else if (kind == bytes)
      value = take(read_varint());
    else
      damaged();
    return true;
  }

  int field = 0;
  Kind kind = varint;
  std::uint64_t number = 0;  ///< of a varint
  std::string_view value;    ///< of every other kind

 private:
  [[noreturn]] void damaged() const {
    throw FileError(path_, "is not a SentencePiece model: it is not a protocol buffer of one");
  }

  std::uint64_t read_varint() {
    std::uint64_t result = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      result |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return result;
    }
    damaged();
  }

  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) damaged();
    const auto result = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(result.size());
    return result;
  }

  std::string_view rest_;
  const std::string& path_;
};

inline std::uint32_t little_endian(std::string_view four_bytes) {
  std::uint32_t result = 0;
  for (std::size_t i = 4; i-- > 0;) result = result << 8 | static_cast<unsigned char>(four_bytes[i]);
  return result;
}

/// The trie of a precompiled map, a double array as darts-clone lays it out. A state is a number; the byte c leads from
/// it to the unit (state ^ c) where that has the label c, and on to the state that the unit says.
class CharsMapTrie {
 public:
  CharsMapTrie(std::string_view trie, std::string_view strings) : strings_(strings), units_(trie.size() / 4) {
    for (std::size_t i = 0; i < units_.size(); ++i) units_[i] = little_endian(trie.substr(4 * i, 4));
  }

  /// What is wrong with it; empty if nothing is.
  std::string fault() {
    if (units_.size() < 256) return "has too few units";
    group_by_state();
    return walk(state_behind(0));
  }

 private:
  static constexpr int most_matches = 32;  // of one text: as many the library has memory for
  static constexpr std::size_t longest_result = 128;

  static bool has_result(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
  std::size_t state_behind(std::size_t unit) const {
    const auto bits = units_[unit];
    return unit ^ static_cast<std::size_t>(bits >> 10 << ((bits & 0x200) >> 6));
  }

  /// children_[first_[s]] to children_[first_[s + 1]] are the units that bytes lead to from state s.
  void group_by_state() {
    const auto leads_here = [&](std::size_t unit) { return (units_[unit] >> 31) == 0; };  // else it is a result
    const auto state = [&](std::size_t unit) { return unit ^ (units_[unit] & 0xFF); };
    first_.assign(units_.size() + 257, 0);
    for (std::size_t unit = 0; unit < units_.size(); ++unit)
      if (leads_here(unit)) ++first_[state(unit) + 1];
    for (std::size_t s = 1; s < first_.size(); ++s) first_[s] += first_[s - 1];
    children_.resize(first_.back());
    auto next = first_;
    for (std::size_t unit = 0; unit < units_.size(); ++unit)
      if (leads_here(unit)) children_[next[state(unit)]++] = unit;
  }

  /// Visits every state that a text can lead to, depth first.
  std::string walk(std::size_t root) {
    struct Open {
      std::size_t state, child;
    };
    constexpr int unseen = -2, open = -1;
    std::vector<int> matches(units_.size(), unseen);  // of each state, how many a text has at most from there on
    std::vector<Open> path;
    std::string wrong;
    const auto enter = [&](std::size_t state) {
      if ((state | 0xFF) >= units_.size()) {
        wrong = "leads out of itself";
      } else if (matches[state] == open) {
        wrong = "leads in a circle";
      } else if (matches[state] == unseen) {
        matches[state] = open;
        path.push_back({state, first_[state]});
      }
    };
    enter(root);
    while (wrong.empty() && !path.empty()) {
      auto& [state, child] = path.back();
      if (child < first_[state + 1]) {
        const auto unit = children_[child++];
        const auto to = state_behind(unit);
        enter(to);
        if (wrong.empty() && has_result(units_[unit])) wrong = result_fault(units_[to] & 0x7FFFFFFF);
        continue;
      }
      int most = 0;
      for (auto at = first_[state]; at < first_[state + 1]; ++at) {
        const auto unit = children_[at];
        most = std::max(most, matches[state_behind(unit)] + (has_result(units_[unit]) ? 1 : 0));
      }
      if (most > most_matches) return "has more than 32 rules that begin alike";
      matches[state] = most;
      path.pop_back();
    }
    return wrong;
  }

  std::string result_fault(std::size_t offset) const {
    if (offset >= strings_.size() || (offset > 0 && strings_[offset - 1] != '\0')) return "names no string of its map";
    const auto end = strings_.find('\0', offset);
    if (end == std::string_view::npos) return "names a string without an end";
    if (end - offset > longest_result) return "makes more than 128 bytes of a character";
    return {};
  }

  std::string_view strings_;
  std::vector<std::uint32_t> units_;
  std::vector<std::size_t> first_, children_;
};

inline void check_normalizer(std::string_view normalizer, const std::string& path) {
  ProtoFields fields(normalizer, path);
  while (fields.next()) {
    if (fields.field != 2 || fields.kind != ProtoFields::bytes || fields.value.empty()) continue;
    const auto fault = [&](const std::string& what) {
      throw FileError(path, "is a corrupt SentencePiece model: the trie of its normalizer " + what);
    };
    const auto map = fields.value;
    const std::size_t size = map.size() < 4 ? 0 : little_endian(map);
    if (map.size() < 4 || size % 4 != 0 || size > map.size() - 4) fault("has an impossible size");
    const auto strings = map.substr(4 + size);
    std::size_t bad = 0;
    if (!valid_utf8(strings, bad)) fault("has results that are not UTF-8");
    if (const auto what = CharsMapTrie(map.substr(4, size), strings).fault(); !what.empty()) fault(what);
  }
}

/// A piece's text. Throws FileError for a piece that cannot be.
inline std::string_view checked_piece(std::string_view piece, const std::string& path, bool& user_defined) {
  std::string_view text;
  std::uint64_t type = 1;
  ProtoFields fields(piece, path);
  const auto fault = [&](const std::string& what) {
    throw FileError(path, "is a corrupt SentencePiece model: the piece " + in_quotes(text) + " " + what);
  };
  while (fields.next()) {
    if (fields.field == 1 && fields.kind == ProtoFields::bytes) {
      text = fields.value;
    } else if (fields.field == 2 && fields.kind == ProtoFields::four_bytes) {
      if (!std::isfinite(std::bit_cast<float>(little_endian(fields.value)))) fault("has a score that is not finite");
    } else if (fields.field == 3 && fields.kind == ProtoFields::varint) {
      if (fields.number < 1 || fields.number > 6) fault("has an unknown type");
      type = fields.number;
    }
  }
  std::size_t bad = 0;
  if (text.empty()) fault("has no characters");
  if (text.size() > longest_sentencepiece)
    fault("has " + std::to_string(text.size()) + " bytes, more than " + std::to_string(longest_sentencepiece));
  if (!valid_utf8(text, bad) || text.find('\0') != std::string_view::npos) fault("is not UTF-8 text");
  user_defined = type == 4;
  return text;
}

}  // namespace detail

NEURAL_ATTENTION_INLINE void check_sentencepiece_model(std::string_view model, const std::string& path) {
  if (model.empty()) throw FileError(path, "is not a SentencePiece model: it is empty");
  if (model.size() > largest_sentencepiece_model)
    throw FileError(path, "is not a SentencePiece model: it has " + std::to_string(model.size()) +
                              " bytes, more than " + std::to_string(largest_sentencepiece_model));
  std::vector<std::string_view> user_defined;
  detail::ProtoFields fields(model, path);
  while (fields.next()) {
    if (fields.kind != detail::ProtoFields::bytes) continue;
    if (fields.field == 1) {
      bool of_user = false;
      const auto piece = detail::checked_piece(fields.value, path, of_user);
      if (of_user) user_defined.push_back(piece);
    } else if (fields.field == 3 || fields.field == 5) {
      detail::check_normalizer(fields.value, path);
    }
  }
  // The library keeps at most 64 user-defined pieces that begin a text, and does not check their number.
  std::sort(user_defined.begin(), user_defined.end());
  std::vector<std::string_view> prefixes;
  for (const auto piece : user_defined) {
    while (!prefixes.empty() && !piece.starts_with(prefixes.back())) prefixes.pop_back();
    prefixes.push_back(piece);
    if (prefixes.size() > 64)
      throw FileError(path, "is a corrupt SentencePiece model: more than 64 of its user-defined pieces begin alike");
  }
}

}  // namespace neural_attention::text
