// Factors for groups of neighbouring columns on the CPU: y = x · f, dx = dy · f, df = Σ dy · x; with a sigmoid, σ(f) is
// the factor.
#pragma once

#include <Eigen/Core>
#include <cassert>
#include <cmath>

#include "neural_attention/backend/cpu/activations.hpp"
#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

namespace neural_attention {
namespace cpu_elementwise {

template <class T>
T sigmoid_of(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

}  // namespace cpu_elementwise

template <class T>
void compute(CpuEngine<T>& cpu, const ops::ScaleGroupsOf<T>& op) {
  const auto x = op.x, f = op.f, y = op.y;
  assert(x.rows == y.rows && x.cols == y.cols && (f.rows == x.rows || f.rows == 1));
  assert(f.cols > 0 && x.cols % f.cols == 0);
  using Block = cpu_blocks::Block<T>;
  const int width = x.cols / f.cols;
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const T *const from = x.row(r), *const factors = f.row(f.rows == 1 ? 0 : r);
      T* const to = y.row(r);
      if (width == 1 && op.sigmoid) {
        cpu_blocks::store(to, x.cols, [&](auto at) -> Block {
          const Block gate = cpu_elementwise::sigmoid<T>(at(factors));
          return at(from) * gate;
        });
      } else if (width == 1) {
        cpu_blocks::store(to, x.cols, [&](auto at) -> Block { return at(from) * at(factors); });
      } else {
        for (int group = 0; group < f.cols; ++group) {
          const T factor = op.sigmoid ? cpu_elementwise::sigmoid_of(factors[group]) : factors[group];
          const T* const of_group = from + group * width;
          cpu_blocks::store(to + group * width, width, [&](auto at) -> Block { return factor * at(of_group); });
        }
      }
    }
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::ScaleGroupsBackwardOf<T>& op) {
  const auto dy = op.dy, x = op.x, f = op.f, dx = op.dx, df = op.df;
  assert(x.rows == dy.rows && x.cols == dy.cols && dx.rows == dy.rows && dx.cols == dy.cols);
  assert((f.rows == x.rows || f.rows == 1) && df.rows == x.rows && df.cols == f.cols);
  assert(f.cols > 0 && x.cols % f.cols == 0);
  using Block = cpu_blocks::Block<T>;
  const int width = x.cols / f.cols;
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const T *const gradient = dy.row(r), *const from = x.row(r), *const factors = f.row(f.rows == 1 ? 0 : r);
      T *const to = dx.row(r), *const of_factors = df.row(r);
      if (width == 1 && op.sigmoid) {
        const auto gate = [&](auto at) -> Block { return cpu_elementwise::sigmoid<T>(at(factors)); };
        cpu_blocks::store(of_factors, x.cols, [&](auto at) -> Block {
          const Block open = gate(at);
          return at(gradient) * at(from) * (open * (T(1) - open));
        });
        cpu_blocks::store(to, x.cols, [&](auto at) -> Block { return at(gradient) * gate(at); });  // dx may be dy
      } else if (width == 1) {
        cpu_blocks::store(of_factors, x.cols, [&](auto at) -> Block { return at(gradient) * at(from); });
        cpu_blocks::store(to, x.cols, [&](auto at) -> Block { return at(gradient) * at(factors); });
      } else {
        for (int group = 0; group < f.cols; ++group) {
          const T factor = op.sigmoid ? cpu_elementwise::sigmoid_of(factors[group]) : factors[group];
          const T slope = op.sigmoid ? factor * (T(1) - factor) : T(1);
          const T *const g = gradient + group * width, *const values = from + group * width;
          of_factors[group] = slope * cpu_blocks::sum<T>(width, [&](auto at) -> Block { return at(g) * at(values); });
          cpu_blocks::store(to + group * width, width, [&](auto at) -> Block { return factor * at(g); });
        }
      }
    }
  });
}

}  // namespace neural_attention
