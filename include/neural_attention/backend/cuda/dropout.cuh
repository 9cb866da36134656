// Dropout: which elements a mask keeps, and the operations that apply it.
#pragma once

#include <cassert>
#include <cstdint>

#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/core/kinds.hpp"

namespace neural_attention::cuda_backend {

/// The elements that a mask keeps, and the factor for them.
struct Keep {
  explicit Keep(const DropoutMask& mask)
      : key(mask.key),
        first_row(mask.first_row),
        threshold(keep_threshold(mask.rate)),
        scale(static_cast<float>(1.0 / (1.0 - mask.rate))) {}
  RandomKey key;
  int first_row;
  std::uint32_t threshold;
  float scale;

  /// For the columns col … col+3, col a multiple of 4.
  __device__ Group<float> factors(int row, int col) const {
    const auto words = key.words(static_cast<std::uint32_t>(first_row + row), static_cast<std::uint32_t>(col / group));
    Group<float> result;
    for (int i = 0; i < group; ++i) result.at[i] = words[i] >= threshold ? scale : 0.0f;
    return result;
  }
};

enum class DropoutForm { Drop, DropAndAdd, Add };

/// y = x · mask, residual + x · mask, or residual + x.
template <class T, DropoutForm form>
struct DropoutMap {
  RowsOf<T> residual, x, y;
  Keep keep;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    auto values = load<Aligned>(x.row(row) + col, count);
    if constexpr (form != DropoutForm::Add) {
      const auto factors = keep.factors(row, col);
      for (int i = 0; i < group; ++i) values.at[i] = factors.at[i] == 0.0f ? 0.0f : values.at[i] * factors.at[i];
    }
    if constexpr (form != DropoutForm::Drop) {
      const auto old = load<Aligned>(residual.row(row) + col, count);
      for (int i = 0; i < group; ++i) values.at[i] += old.at[i];
    }
    store<Aligned>(y.row(row) + col, count, values);
  }
};

template <class T>
void dropout(RowsOf<T> x, const DropoutMask& mask, RowsOf<T> y, Stream stream) {
  assert(mask && x.rows == y.rows && x.cols == y.cols);
  map("dropout", DropoutMap<T, DropoutForm::Drop>{{}, x, y, Keep(mask)}, x.rows, x.cols, aligned(x) && aligned(y),
      stream);
}

template <class T>
void residual_dropout(RowsOf<T> residual, RowsOf<T> x, const DropoutMask& mask, RowsOf<T> y, Stream stream) {
  assert(x.rows == y.rows && x.cols == y.cols && residual.rows == x.rows && residual.cols == x.cols);
  const bool whole = aligned(residual) && aligned(x) && aligned(y);
  const auto run = [&](const auto& f) { map("residual_dropout", f, x.rows, x.cols, whole, stream); };
  if (mask)
    run(DropoutMap<T, DropoutForm::DropAndAdd>{residual, x, y, Keep(mask)});
  else
    run(DropoutMap<T, DropoutForm::Add>{residual, x, y, Keep(mask)});
}

}  // namespace neural_attention::cuda_backend
