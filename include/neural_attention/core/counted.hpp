// Numbers of things in sentences.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "neural_attention/core/with_commas.hpp"

namespace neural_attention {

/// "1 run", "2,000 runs". `thing` is a noun whose plural has an s.
std::string counted(std::integral auto count, std::string_view thing) {
  const auto number = static_cast<std::int64_t>(count);
  return with_commas(number) + " " + std::string(thing) + (number == 1 ? "" : "s");
}

}  // namespace neural_attention
