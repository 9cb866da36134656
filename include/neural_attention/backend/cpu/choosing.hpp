// What decoding needs from a row of logits on the CPU: the sum of its exponentials, its k largest elements, or a random
// element. A row is the smallest piece of work. A heap holds the k largest, with the smallest of them on top; nearly
// all runs of 256 elements lie below it, and the largest of each skips it.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/loss.hpp"

namespace neural_attention {
namespace cpu_choosing {

template <class T>
inline constexpr T lowest = -std::numeric_limits<T>::infinity();

/// Whether no element of a row is NaN or +inf; otherwise nothing can be chosen. Either makes the sum, in any order, NaN
/// or +inf, and so do finite elements whose sum overflows.
template <class T>
bool usable(const T* x, std::ptrdiff_t n, T sum) {
  constexpr T limit = std::numeric_limits<T>::infinity();
  return sum < limit || std::all_of(x, x + n, [](T element) { return element < limit; });
}

/// Fills `columns` with the columns of the largest of the n elements of x, in descending order, equal elements by
/// column. Returns their number, at most columns.size(). Elements that are not above -inf do not count. Nothing is
/// found in a row with NaN or +inf. Reads the row once.
template <class T>
std::size_t select_largest(const T* x, std::ptrdiff_t n, std::span<int> columns) {
  constexpr int size = cpu_blocks::block_size, run = 16 * size;
  const auto better = [x](int a, int b) { return x[a] != x[b] ? x[a] > x[b] : a < b; };
  std::size_t found = 0;
  T worst = lowest<T>;  // of a full heap
  const auto offer = [&](std::ptrdiff_t i) {
    if (!(x[i] > worst)) return;
    if (found == columns.size()) {
      std::pop_heap(columns.begin(), columns.end(), better);
      --found;
    }
    columns[found++] = static_cast<int>(i);
    const auto end = columns.begin() + static_cast<std::ptrdiff_t>(found);
    std::push_heap(columns.begin(), end, better);
    if (found == columns.size()) worst = x[columns.front()];
  };
  using Block = cpu_blocks::Block<T>;
  Block sums = Block::Zero(), more_sums = sums;
  std::ptrdiff_t i = 0;
  for (; i + run <= n; i += run) {
    Block most = Block::Constant(lowest<T>), more = most;
    for (auto j = i; j < i + run; j += 2 * size) {
      const auto even = cpu_blocks::WholeBlock<T>{j}(x), odd = cpu_blocks::WholeBlock<T>{j + size}(x);
      sums += even;
      more_sums += odd;
      most = most.max(even);
      more = more.max(odd);
    }
    if (most.max(more).maxCoeff() > worst)  // where NaN hides a larger one, the sum says so
      for (auto j = i; j < i + run; j += size)
        if ((cpu_blocks::WholeBlock<T>{j}(x) > worst).any())
          for (auto c = j; c < j + size; ++c) offer(c);
  }
  T sum = (sums + more_sums).sum();
  for (; i < n; ++i) {
    sum += x[i];
    offer(i);
  }
  if (!usable(x, n, sum)) return 0;
  std::sort_heap(columns.begin(), columns.begin() + static_cast<std::ptrdiff_t>(found), better);
  return found;
}

/// 1 / temperature, also of a temperature so low that T has no inverse: 0 times it must stay 0.
template <class T>
T coldness_of(double temperature) {
  return static_cast<T>(std::min(1.0 / temperature, double{std::numeric_limits<T>::max()}));
}

/// Σ exp((x - top) / temperature) of elements i … i+16.
template <class T>
double weight(const T* x, std::ptrdiff_t i, std::ptrdiff_t n, T top, T coldness) {
  using Block = cpu_blocks::Block<T>;
  if (i + cpu_blocks::block_size <= n)
    return double(Block(((cpu_blocks::WholeBlock<T>{i}(x)-top) * coldness).exp()).sum());
  const Block last = ((cpu_blocks::PartBlock<T>{i, n - i}(x)-top) * coldness).exp();
  return double(last.head(n - i).sum());
}

/// The column of a row whose share of the total weight holds `uniform`; -1 if there is no weight, or NaN or +inf, which
/// make the total NaN.
template <class T>
int draw_from_all(const T* x, std::ptrdiff_t n, T coldness, double uniform) {
  const T top = cpu_loss::maximum<T>(x, nullptr, n);
  if (!(top > lowest<T>)) return -1;
  const auto total = [&] {
    double sum = 0.0;
    for (std::ptrdiff_t i = 0; i < n; i += cpu_blocks::block_size) sum += weight(x, i, n, top, coldness);
    return sum;
  }();
  if (!(total < std::numeric_limits<double>::infinity())) return -1;
  double left = uniform * total;
  int last = -1;  // after rounding, `uniform` may lie beyond the last share
  for (std::ptrdiff_t i = 0; i < n; i += cpu_blocks::block_size) {
    const auto end = std::min<std::ptrdiff_t>(n, i + cpu_blocks::block_size);
    const double block = weight(x, i, n, top, coldness);
    if (left >= block && end < n) {
      left -= block;
      continue;
    }
    for (auto j = i; j < end; ++j) {
      const double share = std::exp(double((x[j] - top) * coldness));
      if (share > 0.0) last = static_cast<int>(j);
      if (left < share) return static_cast<int>(j);
      left -= share;
    }
  }
  return last;
}

/// The columns that SamplingShape keeps, ascending, and their weights.
template <class T>
class Shortlist {
 public:
  Shortlist(const T* x, std::ptrdiff_t n, const SamplingShape& how) {
    const auto all = static_cast<std::size_t>(n);
    // A few tokens hold most of the probability, so the list grows only if it must.
    std::size_t wanted =
        how.top_k > 0 ? std::min(all, static_cast<std::size_t>(how.top_k)) : std::min(all, first_guess);
    const T coldness = coldness_of<T>(how.temperature);
    const bool some = how.top_p < 1.0;  // of the probability
    double total = 0.0;
    if (how.top_k == 0 && some) {
      const T top = cpu_loss::maximum<T>(x, nullptr, n);
      if (top > lowest<T>)
        for (std::ptrdiff_t i = 0; i < n; i += cpu_blocks::block_size) total += weight(x, i, n, top, coldness);
    }
    for (;; wanted = std::min(all, wanted * 8)) {
      columns_.resize(wanted);
      columns_.resize(select_largest(x, n, std::span(columns_)));
      weights_.clear();
      double sum = 0.0;
      for (const int c : columns_) {
        weights_.push_back(std::exp(double((x[c] - x[columns_.front()]) * coldness)));
        sum += weights_.back();
      }
      if (how.top_k > 0) total = sum;
      const bool complete = how.top_k > 0 || columns_.size() < wanted || wanted == all;
      if (keep(some ? how.top_p * total : std::numeric_limits<double>::infinity(), how.min_p, complete)) break;
    }
    sort_by_column();
  }

  int draw(double uniform) const {
    double left = 0.0;
    for (const double w : weights_) left += w;
    left *= uniform;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (left < weights_[i]) return columns_[i];
      left -= weights_[i];
    }
    return columns_.empty() ? -1 : columns_.back();
  }

 private:
  static constexpr std::size_t first_guess = 256;

  /// Cuts the list after the first columns_ that together weigh `mass`, or before the first column with less weight
  /// than `least`. Returns false if the list is too short for that.
  bool keep(double mass, double least, bool complete) {
    const auto cut = [&](std::size_t count) {
      columns_.resize(count);
      weights_.resize(count);
      return true;
    };
    double sum = 0.0;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (weights_[i] < least) return cut(i);
      sum += weights_[i];
      if (!(sum < mass)) return cut(i + 1);
    }
    return complete;
  }

  void sort_by_column() {
    std::vector<std::pair<int, double>> pairs;
    for (std::size_t i = 0; i < columns_.size(); ++i) pairs.emplace_back(columns_[i], weights_[i]);
    std::sort(pairs.begin(), pairs.end());
    for (std::size_t i = 0; i < columns_.size(); ++i) std::tie(columns_[i], weights_[i]) = pairs[i];
  }

  std::vector<int> columns_;
  std::vector<double> weights_;
};

}  // namespace cpu_choosing

template <class T>
void compute(CpuEngine<T>&, const ops::AssignOf<T>& op) {
  const auto x = op.x;
  const auto rows = op.rows, cols = op.cols;
  assert(rows.size() == cols.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    assert(rows[i] >= 0 && rows[i] < x.rows && cols[i] >= 0 && cols[i] < x.cols);
    x.row(rows[i])[cols[i]] = op.value;
  }
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::LogSumExpOf<T>& op) {
  const auto x = op.x;
  assert(std::ssize(op.sums) == x.rows);
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const T* const row = x.row(r);
      const T top = cpu_loss::maximum<T>(row, nullptr, x.cols);
      const T sum = cpu_blocks::sum<T>(x.cols, [&](auto at) -> cpu_blocks::Block<T> { return (at(row) - top).exp(); });
      const bool nothing = std::all_of(row, row + x.cols, [](T v) { return v == cpu_choosing::lowest<T>; });
      op.sums[r] = nothing ? double(cpu_choosing::lowest<T>) : double(top) + std::log(double(sum));
    }
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::TopKOf<T>& op) {
  const auto x = op.x;
  const auto k = op.k;
  const auto values = op.values;
  assert(k > 0 && k <= x.cols && values.size() == op.columns.size() &&
         std::ssize(values) == std::ptrdiff_t{x.rows} * k);
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const auto at = static_cast<std::size_t>(r) * static_cast<std::size_t>(k);
      const auto chosen = op.columns.subspan(at, static_cast<std::size_t>(k));
      const auto found = cpu_choosing::select_largest<T>(x.row(r), x.cols, chosen);
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        if (i >= found) chosen[i] = -1;
        values[at + i] = i < found ? x.row(r)[chosen[i]] : cpu_choosing::lowest<T>;
      }
    }
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::SampleOf<T>& op) {
  const auto x = op.x;
  const auto& how = op.how;
  const auto uniforms = op.uniforms;
  const auto columns = op.columns;
  assert(std::ssize(uniforms) == x.rows && std::ssize(columns) == x.rows && how.temperature > 0.0);
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const bool all = how.top_k == 0 && how.top_p >= 1.0 && how.min_p <= 0.0;
      columns[r] = all ? cpu_choosing::draw_from_all<T>(x.row(r), x.cols, cpu_choosing::coldness_of<T>(how.temperature),
                                                        uniforms[r])
                       : cpu_choosing::Shortlist<T>(x.row(r), x.cols, how).draw(uniforms[r]);
    }
  });
}

}  // namespace neural_attention
