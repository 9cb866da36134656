// Quotes text from files and flags in messages: short, on one line, and without characters that control a terminal.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "neural_attention/core/utf8.hpp"

namespace neural_attention {

/// Whether a UTF-8 character may act as a command on a terminal: control characters of ASCII and Latin-1, line and
/// paragraph separators, and marks that change the direction of text.
inline bool steers_a_terminal(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0) < 0x20 || byte(0) == 0x7F;
  if (character.size() == 2) return (byte(0) == 0xC2 && byte(1) < 0xA0) || character == "\u061C";
  if (!character.starts_with("\xE2\x80") && !character.starts_with("\xE2\x81")) return false;
  return (character >= "\u200E" && character <= "\u200F") || (character >= "\u2028" && character <= "\u202E") ||
         (character >= "\u2066" && character <= "\u2069");
}

/// The bytes as \xHH, such as \x0D.
inline std::string spelled_bytes(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
  }
  return text;
}

/// `text` in double quotes: at most its first `longest` bytes, followed by "…" if there are more. Bytes that are not
/// UTF-8 and characters that control a terminal are spelled \xHH.
inline std::string in_quotes(std::string_view text, std::size_t longest = 80) {
  std::string result = "\"";
  std::size_t at = 0;
  while (at < text.size()) {
    const auto length = utf8_length(text.substr(at));
    const auto character = text.substr(at, std::max<std::size_t>(length, 1));
    if (at + character.size() > longest) break;
    if (length == 0 || steers_a_terminal(character))
      result += spelled_bytes(character);
    else
      result += character;
    at += character.size();
  }
  return result + (at < text.size() ? "…\"" : "\"");
}

}  // namespace neural_attention
