// Text of a model for files and pipes that have one text a line.
#pragma once

#include <algorithm>
#include <string>

namespace examples {

/// `text` with spaces in place of line feeds and carriage returns, which pieces such as <0x0A> may bring.
inline std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

}  // namespace examples
