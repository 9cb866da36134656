// Unicode's normalization form C: gives characters that look the same one representation: "e" with U+0301 becomes "é".
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/utf8.hpp"
#include "neural_attention/text/tokenizers/nfc_tables.hpp"

namespace neural_attention::text {

namespace nfc_detail {

struct Symbol {
  char32_t character;
  int combining;
};

/// Hangul's syllables are computed: a leading consonant, a vowel, and a trailing consonant or none.
inline constexpr char32_t syllables = 0xAC00, leading = 0x1100, vowels = 0x1161, trailing = 0x11A7;
inline constexpr char32_t leading_count = 19, vowel_count = 21, trailing_count = 28;

inline int combining_class(char32_t character) {
  const auto& table = nfc_tables::classes;
  const auto found =
      std::lower_bound(table.begin(), table.end(), character, [](const auto& row, char32_t c) { return row.last < c; });
  return found != table.end() && found->first <= character ? found->number : 0;
}

template <class Table>
auto find_row(const Table& table, char32_t character) {
  const auto found = std::lower_bound(table.begin(), table.end(), character,
                                      [](const auto& row, char32_t c) { return row.character < c; });
  return found != table.end() && found->character == character ? found : table.end();
}

/// Appends the decomposition of `character`, at most four characters.
inline void decompose(char32_t character, std::vector<Symbol>& symbols) {
  if (character - syllables < leading_count * vowel_count * trailing_count) {
    const auto index = character - syllables;
    symbols.push_back({leading + index / (vowel_count * trailing_count), 0});
    symbols.push_back({vowels + index / trailing_count % vowel_count, 0});
    if (index % trailing_count != 0) symbols.push_back({trailing + index % trailing_count, 0});
  } else if (const auto pair = find_row(nfc_tables::pairs, character); pair != nfc_tables::pairs.end()) {
    decompose(pair->first, symbols);
    decompose(pair->second, symbols);
  } else if (const auto single = find_row(nfc_tables::singles, character); single != nfc_tables::singles.end()) {
    decompose(single->form, symbols);
  } else {
    symbols.push_back({character, combining_class(character)});
  }
}

/// The character that the two compose, 0 if there is none.
inline char32_t compose(char32_t first, char32_t second) {
  if (first - leading < leading_count && second - vowels < vowel_count)
    return syllables + ((first - leading) * vowel_count + (second - vowels)) * trailing_count;
  if (first - syllables < leading_count * vowel_count * trailing_count && (first - syllables) % trailing_count == 0 &&
      second - trailing - 1 < trailing_count - 1)
    return first + (second - trailing);
  static const auto table = [] {
    std::vector<nfc_tables::Pair> pairs;
    for (const auto& pair : nfc_tables::pairs)
      if (!std::binary_search(nfc_tables::excluded.begin(), nfc_tables::excluded.end(), pair.character))
        pairs.push_back(pair);
    std::sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first < b.first : a.second < b.second;
    });
    return pairs;
  }();
  const auto found = std::lower_bound(table.begin(), table.end(), second, [&](const auto& pair, char32_t c) {
    return pair.first != first ? pair.first < first : pair.second < c;
  });
  return found != table.end() && found->first == first && found->second == second ? found->character : 0;
}

/// Composes decomposed characters; characters of class 0 keep their places, and the marks between them are ordered.
inline void recompose(std::vector<Symbol>& symbols) {
  for (auto begin = symbols.begin(); begin != symbols.end();) {
    auto end = begin;
    while (end != symbols.end() && end->combining != 0) ++end;
    std::stable_sort(begin, end, [](const Symbol& a, const Symbol& b) { return a.combining < b.combining; });
    begin = end == symbols.end() ? end : end + 1;
  }
  std::size_t count = 0, starter = symbols.size();
  int before = 0;  // the class of the last symbol that was kept after the starter
  for (const auto& symbol : std::vector<Symbol>(symbols)) {
    const bool near = starter < count && (count == starter + 1 || before < symbol.combining);
    if (const auto joined = near ? compose(symbols[starter].character, symbol.character) : 0; joined != 0) {
      symbols[starter].character = joined;
      continue;
    }
    if (symbol.combining == 0) starter = count;
    before = symbol.combining;
    symbols[count++] = symbol;
  }
  symbols.resize(count);
}

}  // namespace nfc_detail

/// `text` in form C. A byte that begins no UTF-8 character stays, and separates the text on its two sides.
inline std::string nfc(std::string_view text) {
  // All below U+0300 is in form C already, and none of it joins what stands before it.
  if (std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0xCC; }))
    return std::string(text);
  std::string result;
  std::vector<nfc_detail::Symbol> symbols;
  const auto flush = [&] {
    nfc_detail::recompose(symbols);
    for (const auto& symbol : symbols) append_utf8(symbol.character, result);
    symbols.clear();
  };
  while (!text.empty()) {
    const auto length = utf8_length(text);
    if (length == 0) {
      flush();
      result += text.front();
    } else {
      nfc_detail::decompose(decode_utf8(text.substr(0, length)), symbols);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  flush();
  return result;
}

}  // namespace neural_attention::text
