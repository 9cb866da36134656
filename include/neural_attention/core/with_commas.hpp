// Large numbers as people read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// 1234567 -> "1,234,567".
inline std::string with_commas(std::int64_t number) {
  const auto magnitude = number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
  std::string digits = std::to_string(magnitude);
  for (std::size_t place = digits.size(); place > 3; place -= 3) digits.insert(place - 3, ",");
  return number < 0 ? "-" + digits : digits;
}

}  // namespace neural_attention
