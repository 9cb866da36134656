// White space in UTF-8, and replacing text. White space is what Python's str.strip() removes, because the tokenizers
// that this library must agree with are written in Python.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "neural_attention/core/language.hpp"
#include "neural_attention/core/utf8.hpp"

namespace neural_attention {

/// Length in bytes of the white-space character at the beginning of `text`; 0 if there is none.
inline std::size_t leading_space(std::string_view text) {
  if (text.empty()) return 0;
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return first == ' ' || (first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x1F) ? 1 : 0;
  constexpr std::array<std::string_view, 19> spaces = {
      "\u0085", "\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
      "\u2007", "\u2008", "\u2009", "\u200A", "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"};
  for (const auto space : spaces)
    if (text.starts_with(space)) return space.size();
  return 0;
}

inline std::string_view strip_left(std::string_view text) {
  for (auto space = leading_space(text); space != 0; space = leading_space(text)) text.remove_prefix(space);
  return text;
}

inline std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    const auto last = last_character(text);
    if (leading_space(last) != last.size()) break;
    text.remove_suffix(last.size());
  }
  return text;
}

inline std::string_view strip(std::string_view text) { return strip_left(strip_right(text)); }

/// Replaces every `from`, which is not empty, by `to`, in one pass from left to right.
inline std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  result.reserve(text.size());
  for (auto found = text.find(from); found != std::string_view::npos; found = text.find(from)) {
    result.append(text.substr(0, found)).append(to);
    text.remove_prefix(found + from.size());
  }
  return result.append(text);
}

}  // namespace neural_attention
