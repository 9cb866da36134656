// Sizes that follow from flags and files. They are computed in 64 bits, where they cannot wrap, and checked before
// memory is allocated.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::sizes {

/// The largest number of rows, columns and parameters of a model: views count them in an int.
inline constexpr std::int64_t most = std::numeric_limits<int>::max();

/// a + b and a · b for sizes that are not negative. If the result does not fit, it is the largest std::int64_t.
constexpr std::int64_t sum(std::int64_t a, std::int64_t b) {
  constexpr auto largest = std::numeric_limits<std::int64_t>::max();
  return a > largest - b ? largest : a + b;
}
constexpr std::int64_t product(std::int64_t a, std::int64_t b) {
  constexpr auto largest = std::numeric_limits<std::int64_t>::max();
  return b != 0 && a > largest / b ? largest : a * b;
}
constexpr std::int64_t product(std::int64_t a, std::int64_t b, std::same_as<std::int64_t> auto... more) {
  return product(product(a, b), more...);
}

/// "1.5 GiB", rounded down to a tenth.
inline std::string bytes_text(std::int64_t bytes) {
  static constexpr std::array units = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  std::int64_t whole = bytes, rest = 0;  // rest / 1024 of a unit
  for (; whole >= 1024 && unit + 1 < units.size(); ++unit) {
    rest = whole % 1024;
    whole /= 1024;
  }
  const auto tenths = unit == 0 ? "" : "." + std::to_string(rest * 10 / 1024);
  return std::to_string(whole) + tenths + " " + units[unit];
}

/// Returns `count`, computed by the functions above, as an int. If it is above `most`, throws ConfigError: "`what`
/// would have 4294967296 `things`, which need 16.0 GiB; at most 2147483647 are supported".
inline int checked(const std::string& what, std::int64_t count, const char* things, std::int64_t bytes_each) {
  if (count <= most) return static_cast<int>(count);
  throw ConfigError(what + " would have " + std::to_string(count) + " " + things + ", which need " +
                    bytes_text(product(count, bytes_each)) + "; at most " + std::to_string(most) + " are supported");
}

}  // namespace neural_attention::sizes
