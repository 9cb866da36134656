// Embedding lookup and its gradient on the CPU. Equal ids add to the same row of the table. Each task therefore owns
// some columns and walks all tokens in order: the order of the sums is fixed, and no two tasks write to one place.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>

#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/backend/cpu/int8_linear.hpp"

namespace neural_attention {

template <class T>
void compute(CpuEngine<T>& cpu, const ops::EmbeddingOf<T>& op) {
  const auto ids = op.ids;
  const auto table = op.table, y = op.y;
  const bool accumulate = op.into == Into::Add;
  if constexpr (std::is_same_v<T, float>)
    if (op.quantized) return cpu_int8::embedding(cpu, ids, *op.quantized, static_cast<float>(op.factor), op.into, y);
  assert(std::ssize(ids) == y.rows && table.cols == y.cols);
  using Block = cpu_blocks::Block<T>;
  const T by = static_cast<T>(op.factor);
  cpu.split(y.rows, cpu_blocks::row_grain(y.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto i = static_cast<int>(first); i < first + count; ++i) {
      assert(ids[i] >= 0 && ids[i] < table.rows);
      const T* const from = table.row(ids[i]);
      T* const to = y.row(i);
      if (accumulate)
        cpu_blocks::store(to, y.cols, [&](auto at) -> Block { return at(to) + by * at(from); });
      else
        cpu_blocks::store(to, y.cols, [&](auto at) -> Block { return by * at(from); });
    }
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::EmbeddingBackwardOf<T>& op) {
  const auto dy = op.dy, dtable = op.dtable;
  const auto ids = op.ids;
  assert(std::ssize(ids) == dy.rows && dtable.cols == dy.cols);
  using Block = cpu_blocks::Block<T>;
  constexpr std::ptrdiff_t unit = cpu_blocks::block_size, narrow = 64;  // columns
  const T by = static_cast<T>(op.factor);
  const auto width = std::max(narrow, cpu_blocks::row_grain(dy.rows));
  cpu.split((dy.cols + unit - 1) / unit, width / unit, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    const auto begin = first * unit, cols = std::min<std::ptrdiff_t>(dy.cols, (first + count) * unit) - begin;
    for (int i = 0; i < dy.rows; ++i) {
      assert(ids[i] >= 0 && ids[i] < dtable.rows);
      if (ids[i] == op.padding) continue;
      const T* const from = dy.row(i) + begin;
      T* const to = dtable.row(ids[i]) + begin;
      cpu_blocks::store(to, cols, [&](auto at) -> Block { return at(to) + by * at(from); });
    }
  });
}

}  // namespace neural_attention
