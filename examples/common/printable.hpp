// Text of a model for a terminal: it may be any bytes.
#pragma once

#include <string>
#include <string_view>

#include "neural_attention/core/quoted.hpp"
#include "neural_attention/core/utf8.hpp"

namespace examples {

namespace na = neural_attention;

/// Writes bytes that are not UTF-8, and characters that control a terminal, as \xHH. ASCII characters in `kept` stay.
inline std::string printable(std::string_view bytes, std::string_view kept = {}) {
  std::string text;
  while (!bytes.empty()) {
    const auto length = na::utf8_length(bytes);
    const auto character = bytes.substr(0, length == 0 ? 1 : length);
    const bool stays = kept.find(character) != std::string_view::npos;
    if (length == 0 || (na::steers_a_terminal(character) && !stays))
      text += na::spelled_bytes(character);
    else
      text += character;
    bytes.remove_prefix(character.size());
  }
  return text;
}

}  // namespace examples
