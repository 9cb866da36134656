// The single definition of a UTF-8 character, and functions that build on it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// Length in bytes (1 to 4) of the well-formed UTF-8 character at the beginning of `text`, which is not empty; 0 if
/// there is none. Overlong forms, surrogates and values above U+10FFFF are not well-formed (Unicode, table 3-7).
inline std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto between = [&](std::size_t i, int low, int high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const int lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  if (lead < 0xE0) return between(1, 0x80, 0xBF) ? 2 : 0;
  // Only the second byte depends on the first: its bounds exclude overlong forms, surrogates and values that are too
  // large.
  const int low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const int high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (!between(1, low, high) || !between(2, 0x80, 0xBF)) return 0;
  if (lead < 0xF0) return 3;
  return between(3, 0x80, 0xBF) ? 4 : 0;
}

/// The code point of a well-formed character, from its bytes.
inline char32_t decode_utf8(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  if (bytes.size() == 1) return lead;
  char32_t character = lead & (0x7Fu >> bytes.size());
  for (const char byte : bytes.substr(1)) character = character << 6 | (static_cast<unsigned char>(byte) & 0x3Fu);
  return character;
}

/// Appends the UTF-8 form of a code point.
inline void append_utf8(char32_t character, std::string& text) {
  const auto add = [&](char32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (character < 0x80) return add(character);
  if (character < 0x800) {
    add(0xC0 | character >> 6);
  } else if (character < 0x10000) {
    add(0xE0 | character >> 12);
    add(0x80 | (character >> 6 & 0x3F));
  } else {
    add(0xF0 | character >> 18);
    add(0x80 | (character >> 12 & 0x3F));
    add(0x80 | (character >> 6 & 0x3F));
  }
  add(0x80 | (character & 0x3F));
}

/// The last character of `text`, from its first byte on; empty if there is no text. Bytes that continue a character are
/// passed over whether or not it is well-formed, but at most three.
inline std::string_view last_character(std::string_view text) {
  if (text.empty()) return text;
  auto begin = text.size() - 1;
  while (begin > 0 && text.size() - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return text.substr(begin);
}

/// Whether all of `text` is well-formed UTF-8. `bad_offset` becomes the index of the first byte of the first broken
/// character, or the size if there is none.
inline bool valid_utf8(std::string_view text, std::size_t& bad_offset) {
  bad_offset = 0;
  while (bad_offset < text.size()) {
    const auto length = utf8_length(text.substr(bad_offset));
    if (length == 0) return false;
    bad_offset += length;
  }
  return true;
}

/// A sentence for a message if `text` is not well-formed UTF-8; empty if it is.
inline std::string utf8_fault(std::string_view text) {
  std::size_t bad = 0;
  if (valid_utf8(text, bad)) return {};
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(text[bad]);
  return std::string("byte 0x") + digits[byte >> 4] + digits[byte & 15] + " at place " + std::to_string(bad + 1) +
         " of the line does not begin a valid UTF-8 character";
}

}  // namespace neural_attention
