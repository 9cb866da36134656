// Weights of int8 for tests: rounded from floats, or set one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/cpu_support.hpp"
#include "neural_attention/core/quantized_rows.hpp"

/// Rounded weights with the memory that they lie in.
struct Weights {
  Weights(int rows, int cols)
      : integers(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols)), scales(rows, 1.0f), sums(rows) {
    view = {integers.data(), scales.data(), sums.data(), rows, cols};
  }
  explicit Weights(neural_attention::RowsOf<float> w) : Weights(w.rows, w.cols) {
    for (int r = 0; r < w.rows; ++r)
      scales[static_cast<std::size_t>(r)] =
          neural_attention::int8::quantize({w.row(r), static_cast<std::size_t>(w.cols)}, at(r, 0));
    add_up();
  }
  explicit Weights(cpu_support::Matrix<float> w) : Weights(w.view()) {}
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  std::int8_t* at(int r, int c) { return integers.data() + std::ptrdiff_t{r} * view.cols + c; }
  void add_up() {
    for (int r = 0; r < view.rows; ++r) {
      sums[static_cast<std::size_t>(r)] = 0;
      for (int c = 0; c < view.cols; ++c) sums[static_cast<std::size_t>(r)] += *at(r, c);
    }
  }

  std::vector<std::int8_t> integers;
  std::vector<float> scales;
  std::vector<std::int32_t> sums;
  neural_attention::QuantizedRows view;
};
