// Runs of numbers in blocks of 16 that fill whole vector registers; the tail is padded to a block. An element's result
// depends neither on its place in the run nor on the alignment of the memory, and sums have one fixed order.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>

#include "neural_attention/core/language.hpp"

namespace neural_attention::cpu_blocks {

inline constexpr int block_size = 16;
/// The approximate number of elements that makes handing work to another thread worthwhile.
inline constexpr std::ptrdiff_t grain = 16384;

template <class T>
using Block = Eigen::Array<T, block_size, 1>;

/// Reads the block at the current position of a run.
template <class T>
struct WholeBlock {
  std::ptrdiff_t at;
  Eigen::Map<const Block<T>> operator()(const T* run) const { return Eigen::Map<const Block<T>>(run + at); }
};

/// Reads the last `count` < 16 elements of a run, padded with zeros.
template <class T>
struct PartBlock {
  std::ptrdiff_t at;
  std::ptrdiff_t count;
  Block<T> operator()(const T* run) const {
    Block<T> result = Block<T>::Zero();
    std::copy_n(run + at, count, result.data());
    return result;
  }
};

/// out[i] = f(…)[i] for i < n. `f` takes a reader and returns a Block: [&](auto at) -> Block<T> { return at(x) + at(y);
/// }. `out` may be one of the runs that f reads.
template <class T, class F>
void store(T* out, std::ptrdiff_t n, F&& f) {
  std::ptrdiff_t i = 0;
  for (; i + block_size <= n; i += block_size) Eigen::Map<Block<T>>(out + i) = f(WholeBlock<T>{i});
  if (i < n) {
    const Block<T> last = f(PartBlock<T>{i, n - i});
    std::copy_n(last.data(), n - i, out + i);
  }
}

/// Changes several runs of n elements at once: f(at, x…) gets their blocks, one of each run, and changes them; `at`
/// reads further runs.
template <class T, class F, class... Runs>
void update(std::ptrdiff_t n, F&& f, T* first_run, Runs*... more_runs) {
  const auto one = [&](auto at, auto&& write) {
    const auto change = [&](Block<T> first, auto... more) {
      f(at, first, more...);
      write(first_run, first);
      (write(more_runs, more), ...);
    };
    change(at(first_run), Block<T>(at(more_runs))...);
  };
  std::ptrdiff_t i = 0;
  for (; i + block_size <= n; i += block_size)
    one(WholeBlock<T>{i}, [i](T* run, const Block<T>& x) { Eigen::Map<Block<T>>(run + i) = x; });
  if (i < n) one(PartBlock<T>{i, n - i}, [i, n](T* run, const Block<T>& x) { std::copy_n(x.data(), n - i, run + i); });
}

/// Σ f(…)[i] over i < n. Four sums run side by side, because each addition waits for the previous one of its sum.
template <class T, class F>
T sum(std::ptrdiff_t n, F&& f) {
  Block<T> a = Block<T>::Zero(), b = a, c = a, d = a;
  std::ptrdiff_t i = 0;
  for (; i + 4 * block_size <= n; i += 4 * block_size) {
    a += f(WholeBlock<T>{i});
    b += f(WholeBlock<T>{i + block_size});
    c += f(WholeBlock<T>{i + 2 * block_size});
    d += f(WholeBlock<T>{i + 3 * block_size});
  }
  for (; i + block_size <= n; i += block_size) a += f(WholeBlock<T>{i});
  if (i < n) {
    const Block<T> last = f(PartBlock<T>{i, n - i});
    b.head(n - i) += last.head(n - i);
  }
  return ((a + b) + (c + d)).sum();
}

/// Visits elements first … first+count-1 of a matrix with `cols` columns, row by row: body(row, col, count).
template <class Body>
void visit_rows(std::ptrdiff_t first, std::ptrdiff_t count, std::ptrdiff_t cols, Body&& body) {
  while (count > 0) {
    const auto row = first / cols, col = first % cols;
    const auto n = std::min(count, cols - col);
    body(static_cast<int>(row), col, n);
    first += n;
    count -= n;
  }
}

/// The number of columns that visit_rows should assume: matrices that are all contiguous count as one long row.
template <class First, class... Others>
std::ptrdiff_t common_columns(const First& x, const Others&... others) {
  return x.contiguous() && (others.contiguous() && ...) ? x.size() : x.cols;
}

/// The number of rows of `cols` elements in one piece of work.
inline std::ptrdiff_t row_grain(std::ptrdiff_t cols) {
  return std::max<std::ptrdiff_t>(1, grain / std::max<std::ptrdiff_t>(1, cols));
}

}  // namespace neural_attention::cpu_blocks
