// Converts numbers to text and back independently of the program's locale. std::to_string, printf and strtod use a
// decimal comma in some locales.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// The shortest text that reads back as the same number.
inline std::string number_text(double value) {
  std::array<char, 32> buffer;
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}

/// With `digits` digits after the point, at most 100.
inline std::string number_text(double value, std::chars_format format, int digits) {
  std::array<char, 512> buffer;  // the largest double has 309 digits before the point
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format, std::min(digits, 100)).ptr;
  return {buffer.data(), end};
}

/// The number that the whole of `text` spells; nothing if it is not a number or is out of range.
inline std::optional<double> number_in(std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace neural_attention
