// GPT-2's spelling of bytes. Each of the 256 bytes has a printable character, so that vocab.json and merges.txt can
// hold pieces of any bytes. The printable characters of Latin-1 stand for their own bytes, and U+0100, U+0101, … for
// the other 68 in their order. So " the" is spelled "Ġthe", and "é" (bytes C3 A9) is spelled "Ã©".
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "neural_attention/core/utf8.hpp"

namespace neural_attention::text {

namespace detail {

constexpr bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

inline constexpr int spelling_characters = 256 + 68;  ///< the characters in use lie below this code point

/// The code point of each byte's character.
constexpr std::array<int, 256> byte_characters() {
  std::array<int, 256> characters{};
  int next = 256;
  for (int byte = 0; byte < 256; ++byte)
    characters[static_cast<std::size_t>(byte)] = stands_for_itself(byte) ? byte : next++;
  return characters;
}

/// The byte of each character; -1 for code points in between that represent no byte.
constexpr std::array<int, spelling_characters> character_bytes() {
  std::array<int, spelling_characters> bytes{};
  bytes.fill(-1);
  for (int byte = 0; byte < 256; ++byte)
    bytes[static_cast<std::size_t>(byte_characters()[static_cast<std::size_t>(byte)])] = byte;
  return bytes;
}

}  // namespace detail

/// The 256 bytes in the order of their characters: GPT-2's order of the first 256 pieces.
constexpr std::array<unsigned char, 256> bytes_in_spelling_order() {
  std::array<unsigned char, 256> order{};
  std::size_t count = 0;
  for (const int byte : detail::character_bytes())
    if (byte >= 0) order[count++] = static_cast<unsigned char>(byte);
  return order;
}

/// `bytes` in GPT-2's spelling, as UTF-8.
inline std::string spell_bytes(std::string_view bytes) {
  static constexpr auto characters = detail::byte_characters();
  std::string spelled;
  for (const char byte : bytes) {
    const int character = characters[static_cast<unsigned char>(byte)];
    if (character < 0x80) {
      spelled += static_cast<char>(character);
    } else {
      spelled += static_cast<char>(0xC0 | (character >> 6));
      spelled += static_cast<char>(0x80 | (character & 0x3F));
    }
  }
  return spelled;
}

/// The bytes that `spelled` represents; nothing if one of its characters represents no byte.
inline std::optional<std::string> unspell_bytes(std::string_view spelled) {
  static constexpr auto bytes = detail::character_bytes();
  std::string result;
  for (std::size_t at = 0; at < spelled.size();) {
    const auto length = utf8_length(spelled.substr(at));
    const int lead = static_cast<unsigned char>(spelled[at]);
    if (length == 0 || length > 2) return std::nullopt;
    const int character = length == 1 ? lead : (lead & 0x1F) << 6 | (spelled[at + 1] & 0x3F);
    if (character >= detail::spelling_characters || bytes[static_cast<std::size_t>(character)] < 0) return std::nullopt;
    result += static_cast<char>(bytes[static_cast<std::size_t>(character)]);
    at += length;
  }
  return result;
}

}  // namespace neural_attention::text
