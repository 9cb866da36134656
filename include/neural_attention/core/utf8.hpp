// The one rule of what a UTF-8 character is.
#pragma once

#include <cstddef>
#include <string_view>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// Length in bytes (1 to 4) of the well-formed UTF-8 character that `text`, which is not empty, begins with; 0 where
/// it begins with none. Overlong forms, surrogates and values above U+10FFFF are not well-formed (Unicode, table 3-7).
inline std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto between = [&](std::size_t i, int low, int high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const int lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  if (lead < 0xE0) return between(1, 0x80, 0xBF) ? 2 : 0;
  // Only the second byte depends on the first: its bounds shut out overlong forms, surrogates and too large values.
  const int low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const int high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (!between(1, low, high) || !between(2, 0x80, 0xBF)) return 0;
  if (lead < 0xF0) return 3;
  return between(3, 0x80, 0xBF) ? 4 : 0;
}

}  // namespace neural_attention
