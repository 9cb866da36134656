// Linear maps whose weights are integers of eight bits: y = f(x wᵀ + b). Each row of x is rounded to integers with a
// scale of its own, the sums of their products are integers, and y_ij = sum_ij · (scale of x_i · scale of w_j) + b_j. A
// row of y does not depend on the other rows, and no cut changes a sum.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "neural_attention/backend/cpu/activations.hpp"
#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/backend/cpu/gemm.hpp"
#include "neural_attention/backend/cpu/int8_kernels.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quantized_rows.hpp"

namespace neural_attention::cpu_int8 {

/// Tiles of this many channels, whose weights stay in a cache for all rows.
inline constexpr int channels = 64;

/// Rounds rows of x; `scales` get the scales of the rows. A row with a number that is not finite gets the scale NaN, so
/// that it does not stay unnoticed.
template <class Kernel>
void round_rows(RowsOf<float> x, std::uint8_t* out, float* scales) {
  for (int i = 0; i < x.rows; ++i) {
    const float most = int8::magnitude(x.row(i), x.cols);
    const bool finite = std::isfinite(most);
    round_row(x.row(i), finite ? x.cols : 0, finite ? int8::factor(most) : 0.0f, Kernel::offset, out);
    if (!finite) std::fill_n(out, padded(x.cols), static_cast<std::uint8_t>(Kernel::offset));
    scales[i] = finite ? most / static_cast<float>(int8::largest) : std::numeric_limits<float>::quiet_NaN();
    out += padded(x.cols);
  }
}

/// y = f(sums · (scale · scales) + bias) for one row of `count` channels.
inline void finish(const std::int32_t* sums, int count, float scale, const float* scales, const float* bias,
                   Activation f, float* y) {
  using Block = cpu_blocks::Block<float>;
  float numbers[channels];
  std::copy_n(sums, count, numbers);  // converts
  if (bias)
    cpu_blocks::store(y, count, [&](auto at) -> Block { return at(numbers) * (scale * at(scales)) + at(bias); });
  else
    cpu_blocks::store(y, count, [&](auto at) -> Block { return at(numbers) * (scale * at(scales)); });
  if (f != Activation::Identity) cpu_elementwise::apply(f, y, y, count);
}

/// Throws ConfigError for weights of a model that was neither loaded nor given a seed.
inline void require_values(const QuantizedRows& w) {
  if (!w.data) throw ConfigError("int8 weights have no values yet: load a model or give a seed");
}

/// y = f(x wᵀ + bias), shared by the threads.
template <class Kernel>
void linear(CpuEngine<float>& cpu, RowsOf<float> x, const QuantizedRows& w, RowsOf<float> bias, Activation f,
            RowsOf<float> y) {
  require_values(w);
  assert(x.cols == w.cols && y.rows == x.rows && y.cols == w.rows && (!bias || bias.cols == y.cols));
  const auto row_bytes = padded(x.cols);
  const auto x_floats = static_cast<std::size_t>(x.rows) * static_cast<std::size_t>(row_bytes) / sizeof(float);
  float* const memory = cpu.shared_packing.reserve(x_floats + static_cast<std::size_t>(x.rows));
  auto* const rounded = reinterpret_cast<std::uint8_t*>(memory);
  float* const scales = memory + x_floats;
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    round_rows<Kernel>(x.slice(static_cast<int>(first), static_cast<int>(count)), rounded + first * row_bytes,
                       scales + first);
  });

  constexpr int tiles_per_thread = 4, rows_at_once = 32;
  constexpr double smallest = 1 << 17;  // products of a tile, whose weights alone take 10 µs to read
  const double work = static_cast<double>(y.size()) * x.cols;
  const int runs = (y.cols + channels - 1) / channels;
  const int tiles = std::clamp(static_cast<int>(std::min(work / smallest, 1e6)), 1,
                               std::min(runs, tiles_per_thread * cpu.threads.threads()));
  cpu.threads.run(tiles, [&](int tile, int) {
    std::int32_t sums[rows_at_once * channels];
    const int end = cpu_gemm::cut(y.cols, tiles, channels, tile + 1);
    for (int col = cpu_gemm::cut(y.cols, tiles, channels, tile), cols = 0; col < end; col += cols) {
      cols = std::min(channels, end - col);
      for (int row = 0; row < x.rows; row += rows_at_once) {
        const int rows = std::min(rows_at_once, x.rows - row);
        Kernel::multiply({rounded + row * row_bytes, rows, x.cols}, w, col, cols, sums, channels);
        for (int i = 0; i < rows; ++i)
          finish(sums + i * channels, cols, scales[row + i], w.scales + col, bias ? bias.data + col : nullptr, f,
                 y.row(row + i) + col);
      }
    }
  });
}

/// y_i = by · table[ids_i], or y_i += …
inline void embedding(CpuEngine<float>& cpu, std::span<const int> ids, const QuantizedRows& table, float by, Into into,
                      RowsOf<float> y) {
  require_values(table);
  assert(std::ssize(ids) == y.rows && table.cols == y.cols);
  cpu.split(y.rows, cpu_blocks::row_grain(y.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto i = static_cast<int>(first); i < first + count; ++i) {
      assert(ids[i] >= 0 && ids[i] < table.rows);
      const float scale = by * table.scales[ids[i]];
      const std::int8_t* const from = table.row(ids[i]);
      float* const to = y.row(i);
      for (int c = 0; c < y.cols; ++c) to[c] = (into == Into::Add ? to[c] : 0.0f) + scale * static_cast<float>(from[c]);
    }
  });
}

}  // namespace neural_attention::cpu_int8
