// Weights as integers of eight bits, one scale a row: row r of a matrix [rows, cols] is scales[r] · data[r], each
// integer in -127 … 127. The rows of a linear map are its outputs, and the rows of an embedding its tokens.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// A view that owns nothing, in the host's memory.
struct QuantizedRows {
  const std::int8_t* data = nullptr;   ///< [rows, cols]
  const float* scales = nullptr;       ///< [rows], all positive
  const std::int32_t* sums = nullptr;  ///< [rows], of each row's integers
  int rows = 0;
  int cols = 0;

  const std::int8_t* row(int i) const { return data + std::ptrdiff_t{i} * cols; }
  std::ptrdiff_t size() const { return std::ptrdiff_t{rows} * cols; }
};

namespace int8 {

inline constexpr int largest = 127;
/// Rows may have as many columns: the sum of their products with other such integers fits into 32 bits.
inline constexpr int most_cols = 1 << 17;

/// The largest magnitude of a row; NaN or infinite if any number is.
inline float magnitude(const float* row, std::ptrdiff_t n) {
  std::int32_t most = 0;  // as integers, magnitudes have the same order, and NaN is the largest
  for (std::ptrdiff_t i = 0; i < n; ++i) most = std::max(most, std::bit_cast<std::int32_t>(row[i]) & 0x7FFFFFFF);
  return std::bit_cast<float>(most);
}

/// The factor on the numbers of a row with this magnitude before they are rounded to integers. 0 for a row
/// that counts as zeros: 127 / magnitude would overflow.
inline float factor(float magnitude) {
  constexpr float least = 1e-36f;
  return magnitude < least ? 0.0f : static_cast<float>(largest) / magnitude;
}

/// Rounds a row of weights to integers, ties to even, and returns their scale; a row of zeros has the scale 1. Returns
/// NaN and writes nothing if a number is not finite.
inline float quantize(std::span<const float> row, std::int8_t* out) {
  const float most = magnitude(row.data(), std::ssize(row));
  if (!std::isfinite(most)) return std::numeric_limits<float>::quiet_NaN();
  const float by = factor(most);
  for (std::size_t i = 0; i < row.size(); ++i) out[i] = static_cast<std::int8_t>(std::lrint(row[i] * by));
  return by > 0.0f ? most / static_cast<float>(largest) : 1.0f;
}

}  // namespace int8
}  // namespace neural_attention
