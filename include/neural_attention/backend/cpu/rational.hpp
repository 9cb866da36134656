// Learned rational functions on the CPU, P(x) / Q(x) by Horner's rule; core/operations/rational.hpp has the formulas.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

namespace neural_attention {
namespace cpu_rational {

template <class T>
using Block = cpu_blocks::Block<T>;

/// The coefficients of one group of columns.
template <class T>
struct Coefficients {
  Coefficients(const RowsOf<T>& numerator, const RowsOf<T>& denominator, int group)
      : m(numerator.cols - 1), n(denominator.cols) {
    assert(m >= 0 && m <= highest_degree && n <= highest_degree && numerator.rows == 1);
    std::copy_n(numerator.data, m + 1, a.begin());
    for (int j = 0; j < n; ++j) {
      const T coefficient = denominator.row(group)[j];
      b[static_cast<std::size_t>(j)] = std::abs(coefficient);
      sign[static_cast<std::size_t>(j)] = coefficient < T(0) ? T(-1) : T(1);
    }
  }

  int m, n;  ///< the degrees
  std::array<T, highest_degree + 1> a = {};
  std::array<T, highest_degree> b = {}, sign = {};
};

/// P and Q at x, and their derivatives.
template <class T>
struct Values {
  Values(const Coefficients<T>& of, const Block<T>& x) : size(x.abs()) {
    p = Block<T>::Constant(of.a[static_cast<std::size_t>(of.m)]);
    for (int i = of.m - 1; i >= 0; --i) p = p * x + of.a[static_cast<std::size_t>(i)];
    q = Block<T>::Zero();
    for (int j = of.n - 1; j >= 0; --j) q = (q + of.b[static_cast<std::size_t>(j)]) * size;
    q += T(1);
  }

  Block<T> size, p, q;
};

template <class T>
Block<T> slope(const Coefficients<T>& of, const Block<T>& x, const Values<T>& at_x) {
  Block<T> dp = Block<T>::Zero(), dq = Block<T>::Zero();
  for (int i = of.m; i >= 1; --i) dp = dp * x + static_cast<T>(i) * of.a[static_cast<std::size_t>(i)];
  for (int j = of.n; j >= 1; --j) dq = dq * at_x.size + static_cast<T>(j) * of.b[static_cast<std::size_t>(j - 1)];
  dq = (x < T(0)).select(-dq, dq);
  return (dp - at_x.p / at_x.q * dq) / at_x.q;
}

/// Adds the gradients of one block to `sums`, first of a_0 … a_m and then of b_1 … b_n.
template <class T>
void add_gradients(const Coefficients<T>& of, const Block<T>& x, const Values<T>& at_x, const Block<T>& dy,
                   Block<T>* sums) {
  Block<T> power = dy / at_x.q;
  for (int i = 0; i <= of.m; ++i) {
    sums[i] += power;
    power *= x;
  }
  power = -dy * at_x.p / at_x.q.square();
  for (int j = 0; j < of.n; ++j) {
    power *= at_x.size;
    sums[of.m + 1 + j] += power * of.sign[static_cast<std::size_t>(j)];
  }
}

}  // namespace cpu_rational

template <class T>
void compute(CpuEngine<T>& cpu, const ops::RationalOf<T>& op) {
  const auto x = op.x, y = op.y;
  const int groups = op.denominator.rows;
  assert(x.rows == y.rows && x.cols == y.cols && groups >= 1);
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (int g = 0; g < groups; ++g) {
      const cpu_rational::Coefficients<T> of(op.numerator, op.denominator, g);
      const int begin = first_of_group(g, groups, x.cols), end = first_of_group(g + 1, groups, x.cols);
      for (auto r = static_cast<int>(first); r < first + count; ++r) {
        const T* const from = x.row(r) + begin;
        cpu_blocks::store(y.row(r) + begin, end - begin, [&](auto at) -> cpu_blocks::Block<T> {
          const cpu_rational::Values<T> values(of, at(from));
          return values.p / values.q;
        });
      }
    }
  });
}

/// The gradients of the coefficients are summed within chunks of rows, then over the chunks in order. The sums of the
/// chunks lie in the caller's workspace, which nothing else uses meanwhile.
template <class T>
void compute(CpuEngine<T>& cpu, const ops::RationalBackwardOf<T>& op) {
  using Block = cpu_blocks::Block<T>;
  const auto dy = op.dy, x = op.x, dx = op.dx;
  const int groups = op.denominator.rows, of_p = op.numerator.cols, of_q = op.denominator.cols, both = of_p + of_q;
  assert(x.rows == dy.rows && x.cols == dy.cols && dx.rows == dy.rows && dx.cols == dy.cols && groups >= 1);
  assert(op.dnumerator.cols == of_p && op.ddenominator.rows == groups && op.ddenominator.cols == of_q);
  if (x.size() == 0) return;
  constexpr std::ptrdiff_t most_chunks = 32;
  const auto grain = cpu_blocks::row_grain(x.cols);
  const int chunks = static_cast<int>(std::min(most_chunks, (x.rows + grain - 1) / grain));
  T* const sums = cpu.workspaces[0].reserve(static_cast<std::size_t>(chunks) * static_cast<std::size_t>(groups) *
                                            static_cast<std::size_t>(both));
  const auto sums_of = [&](int chunk, int group) { return sums + (std::ptrdiff_t{chunk} * groups + group) * both; };
  cpu.threads.run(chunks, [&](int chunk, int) {
    const auto row_begin = static_cast<int>(std::ptrdiff_t{x.rows} * chunk / chunks);
    const auto row_end = static_cast<int>(std::ptrdiff_t{x.rows} * (chunk + 1) / chunks);
    for (int g = 0; g < groups; ++g) {
      const cpu_rational::Coefficients<T> of(op.numerator, op.denominator, g);
      const int begin = first_of_group(g, groups, x.cols), end = first_of_group(g + 1, groups, x.cols);
      std::array<Block, 2 * highest_degree + 1> of_group;
      of_group.fill(Block::Zero());
      for (int r = row_begin; r < row_end; ++r) {
        const T *const gradients = dy.row(r) + begin, *const inputs = x.row(r) + begin;
        cpu_blocks::store(dx.row(r) + begin, end - begin, [&](auto at) -> Block {
          const Block gradient = at(gradients), input = at(inputs);
          const cpu_rational::Values<T> values(of, input);
          cpu_rational::add_gradients(of, input, values, gradient, of_group.data());
          const Block result = gradient * cpu_rational::slope(of, input, values);
          return op.into == Into::Add ? Block(at(dx.row(r) + begin) + result) : result;
        });
      }
      T* const to = sums_of(chunk, g);
      for (int i = 0; i < both; ++i) to[i] = of_group[static_cast<std::size_t>(i)].sum();
    }
  });
  for (int chunk = 0; chunk < chunks; ++chunk)
    for (int g = 0; g < groups; ++g) {
      const T* const from = sums_of(chunk, g);
      for (int i = 0; i < of_p; ++i) op.dnumerator.data[i] += from[i];
      for (int j = 0; j < of_q; ++j) op.ddenominator.row(g)[j] += from[of_p + j];
    }
}

}  // namespace neural_attention
