// Element-wise operations on the CPU, and operations that move rows. Each makes one pass over its memory. The random
// word of element (row, column), a function of the global row and the column, decides whether dropout keeps it.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cstring>
#include <type_traits>

#include "neural_attention/backend/cpu/activations.hpp"
#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/backend/cpu/dropout_words.hpp"

namespace neural_attention {
namespace cpu_elementwise {

/// One row of y = x · mask / (1 - rate), or of residual + that, where `residual` is a row and not nullptr.
template <class T, class Residual>
void drop_row(const DropoutMask& mask, int row, int cols, Residual residual, const T* x, T* y) {
  constexpr int piece = 4 * cpu_dropout::lanes;
  std::uint32_t words[piece] = {};
  T values[piece];  // a copy: the compiler cannot know whether y is x
  const auto threshold = keep_threshold(mask.rate);
  const T keep = static_cast<T>(1.0 / (1.0 - mask.rate));
  const auto global_row = static_cast<std::uint32_t>(mask.first_row + row);
  for (int first = 0; first < cols; first += piece) {
    const int count = std::min(piece, cols - first);
    keep_words(mask.key, global_row, static_cast<std::uint32_t>(first / 4), (count + 3) / 4, words);
    std::copy_n(x + first, count, values);
    if (count < piece) std::fill(values + count, values + piece, T(0));
    for (int i = 0; i < piece; ++i) {
      const T scaled = values[i] * keep;
      values[i] = words[i] >= threshold ? scaled : T(0);
    }
    if constexpr (!std::is_null_pointer_v<Residual>) {
      const T *const old = residual + first, *const dropped = values;
      cpu_blocks::store(y + first, count, [&](auto at) -> cpu_blocks::Block<T> { return at(old) + at(dropped); });
    } else {
      std::copy_n(values, count, y + first);
    }
  }
}

}  // namespace cpu_elementwise

template <class T>
void compute(CpuEngine<T>& cpu, const ops::CopyOf<T>& op) {
  const auto x = op.x, y = op.y;
  assert(x.rows == y.rows && x.cols == y.cols);
  if (x.size() == 0 || x.data == y.data) return;
  const bool overlap = x.data < y.row(y.rows - 1) + y.cols && y.data < x.row(x.rows - 1) + x.cols;
  if (overlap && x.contiguous() && y.contiguous()) {
    std::memmove(y.data, x.data, static_cast<std::size_t>(x.size()) * sizeof(T));
    return;
  }
  const auto cols = cpu_blocks::common_columns(x, y);
  cpu.split(x.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    cpu_blocks::visit_rows(first, count, cols, [&](int r, std::ptrdiff_t c, std::ptrdiff_t n) {
      std::copy_n(x.row(r) + c, n, y.row(r) + c);
    });
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::ConvertOf<T>& op) {
  compute(cpu, ops::CopyOf<T>{.x = op.x, .y = op.y});
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::CopyPairsOf<T>& op) {
  const auto x = op.x, y = op.y;
  assert(x.size() == y.size());
  if (x.empty()) return;
  std::ptrdiff_t elements = 0;
  for (const auto& from : x) elements += from.size();
  const auto pairs = std::ssize(x);
  cpu.split(pairs, cpu_blocks::row_grain(elements / pairs), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto i = first; i < first + count; ++i) {
      const auto &from = x[i], &to = y[i];
      assert(from.rows == to.rows && from.cols == to.cols);
      cpu_blocks::visit_rows(0, from.size(), cpu_blocks::common_columns(from, to),
                             [&](int r, std::ptrdiff_t, std::ptrdiff_t n) { std::copy_n(from.row(r), n, to.row(r)); });
    }
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::FillOf<T>& op) {
  const auto x = op.x;
  const auto cols = cpu_blocks::common_columns(x);
  cpu.split(x.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    cpu_blocks::visit_rows(first, count, cols,
                           [&](int r, std::ptrdiff_t c, std::ptrdiff_t n) { std::fill_n(x.row(r) + c, n, op.value); });
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::AddOf<T>& op) {
  const auto x = op.x, y = op.y;
  assert(x.rows == y.rows && x.cols == y.cols);
  const auto cols = cpu_blocks::common_columns(x, y);
  cpu.split(x.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    cpu_blocks::visit_rows(first, count, cols, [&](int r, std::ptrdiff_t c, std::ptrdiff_t n) {
      const T* const from = x.row(r) + c;
      T* const to = y.row(r) + c;
      cpu_blocks::store(to, n, [&](auto at) -> cpu_blocks::Block<T> { return at(to) + at(from); });
    });
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::ScaleOf<T>& op) {
  const auto x = op.x;
  const auto cols = cpu_blocks::common_columns(x);
  const T by = static_cast<T>(op.factor);
  cpu.split(x.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    cpu_blocks::visit_rows(first, count, cols, [&](int r, std::ptrdiff_t c, std::ptrdiff_t n) {
      T* const values = x.row(r) + c;
      cpu_blocks::store(values, n, [&](auto at) -> cpu_blocks::Block<T> { return at(values) * by; });
    });
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::MultiplyOf<T>& op) {
  const auto a = op.a, b = op.b, y = op.y;
  assert(a.rows == y.rows && a.cols == y.cols && b.rows == y.rows && b.cols == y.cols);
  const auto cols = cpu_blocks::common_columns(a, b, y);
  cpu.split(y.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    cpu_blocks::visit_rows(first, count, cols, [&](int r, std::ptrdiff_t c, std::ptrdiff_t n) {
      const T *const one = a.row(r) + c, *const other = b.row(r) + c;
      cpu_blocks::store(y.row(r) + c, n, [&](auto at) -> cpu_blocks::Block<T> { return at(one) * at(other); });
    });
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::MultiplyBackwardOf<T>& op) {
  const auto dy = op.dy, a = op.a, b = op.b, da = op.da, db = op.db;
  assert(a.rows == dy.rows && a.cols == dy.cols && b.rows == dy.rows && b.cols == dy.cols);
  assert(da.rows == dy.rows && da.cols == dy.cols && db.rows == dy.rows && db.cols == dy.cols);
  const auto cols = cpu_blocks::common_columns(dy, a, b, da, db);
  const auto store = [&](const T* gradient, const T* factor, T* to, std::ptrdiff_t n) {
    using Block = cpu_blocks::Block<T>;
    if (op.into == Into::Add)
      cpu_blocks::store(to, n, [&](auto at) -> Block { return at(to) + at(gradient) * at(factor); });
    else
      cpu_blocks::store(to, n, [&](auto at) -> Block { return at(gradient) * at(factor); });
  };
  cpu.split(dy.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    cpu_blocks::visit_rows(first, count, cols, [&](int r, std::ptrdiff_t c, std::ptrdiff_t n) {
      store(dy.row(r) + c, a.row(r) + c, db.row(r) + c, n);
      store(dy.row(r) + c, b.row(r) + c, da.row(r) + c, n);  // last: da may be dy
    });
  });
}

template <class T>
void compute(CpuEngine<T>&, const ops::UploadOf<T>& op) {
  const auto x = op.x;
  assert(std::ssize(op.values) == x.size());
  for (int r = 0; r < x.rows; ++r) std::copy_n(op.values.data() + std::ptrdiff_t{r} * x.cols, x.cols, x.row(r));
}

template <class T>
void compute(CpuEngine<T>&, const ops::DownloadOf<T>& op) {
  const auto x = op.x;
  assert(std::ssize(op.values) == x.size());
  for (int r = 0; r < x.rows; ++r) std::copy_n(x.row(r), x.cols, op.values.data() + std::ptrdiff_t{r} * x.cols);
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::GatherOf<T>& op) {
  const auto x = op.x, y = op.y;
  const auto rows = op.rows;
  assert(std::ssize(rows) == y.rows && x.cols == y.cols);
  cpu.split(y.rows, cpu_blocks::row_grain(y.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto i = static_cast<int>(first); i < first + count; ++i) {
      assert(rows[i] >= 0 && rows[i] < x.rows);
      std::copy_n(x.row(rows[i]), x.cols, y.row(i));
    }
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::ScatterAddOf<T>& op) {
  const auto x = op.x, y = op.y;
  const auto rows = op.rows;
  assert(std::ssize(rows) == x.rows && x.cols == y.cols);
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto i = static_cast<int>(first); i < first + count; ++i) {
      assert(rows[i] >= 0 && rows[i] < y.rows);
      T* const to = y.row(rows[i]);
      const T* const from = x.row(i);
      for (int c = 0; c < x.cols; ++c) to[c] += from[c];
    }
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::ActivateOf<T>& op) {
  const auto x = op.x, y = op.y;
  assert(x.rows == y.rows && x.cols == y.cols);
  const auto cols = cpu_blocks::common_columns(x, y);
  cpu.split(x.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    cpu_blocks::visit_rows(first, count, cols, [&](int r, std::ptrdiff_t c, std::ptrdiff_t n) {
      cpu_elementwise::apply(op.f, x.row(r) + c, y.row(r) + c, n);
    });
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::ActivateBackwardOf<T>& op) {
  const auto x = op.x, dy = op.dy, dx = op.dx;
  assert(x.rows == dy.rows && x.cols == dy.cols && dx.rows == dy.rows && dx.cols == dy.cols);
  const auto cols = cpu_blocks::common_columns(x, dy, dx);
  cpu.split(x.size(), cpu_blocks::grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    cpu_blocks::visit_rows(first, count, cols, [&](int r, std::ptrdiff_t c, std::ptrdiff_t n) {
      cpu_elementwise::apply_backward(op.f, x.row(r) + c, dy.row(r) + c, dx.row(r) + c, n);
    });
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::DropoutOf<T>& op) {
  const auto x = op.x, y = op.y;
  assert(x.rows == y.rows && x.cols == y.cols);
  if (!op.mask) return compute(cpu, ops::CopyOf<T>{.x = x, .y = y});
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto r = static_cast<int>(first); r < first + count; ++r)
      cpu_elementwise::drop_row(op.mask, r, x.cols, nullptr, x.row(r), y.row(r));
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::ResidualDropoutOf<T>& op) {
  const auto residual = op.residual, x = op.x, y = op.y;
  assert(x.rows == y.rows && x.cols == y.cols && residual.rows == x.rows && residual.cols == x.cols);
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const T *const old = residual.row(r), *const from = x.row(r);
      if (op.mask)
        cpu_elementwise::drop_row(op.mask, r, x.cols, old, from, y.row(r));
      else
        cpu_blocks::store(y.row(r), x.cols, [&](auto at) -> cpu_blocks::Block<T> { return at(old) + at(from); });
    }
  });
}

}  // namespace neural_attention
