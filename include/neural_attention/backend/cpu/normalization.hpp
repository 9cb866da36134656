// LayerNorm on the CPU: y = (x - mean) · rstd · gain + bias per row, optionally followed by ReLU, and its backward:
// with x̂ = (x - mean) · rstd and g = dy · gain, dx = rstd · (g - mean(g) - x̂ · mean(g · x̂)), dgain = Σ dy · x̂.
// RMSNorm is the same without mean, bias and mean(g), and with rstd = 1/sqrt(mean(x²) + ε) (Zhang & Sennrich 2019).
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>
#include <type_traits>

#include "neural_attention/backend/cpu/activations.hpp"
#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

namespace neural_attention {
namespace cpu_normalization {

template <class T>
using Block = cpu_blocks::Block<T>;

/// One row of the backward pass; adds to the row sums dgain and dbias. Without `Centred`, mean is 0 and dbias none.
template <bool Centred, bool Relu, bool Accumulate, class T>
void backward_row(const T* dy, const T* x, const T* y, const T* gain, T mean, T rstd, int cols, T* dx, T* dgain,
                  T* dbias) {
  const auto gradient = [=](auto at) -> Block<T> {
    if constexpr (Relu)
      return cpu_elementwise::relu_gradient<T>(at(y), at(dy));
    else
      return at(dy);
  };
  const auto normalized = [=](auto at) -> Block<T> {
    if constexpr (Centred)
      return (at(x) - mean) * rstd;
    else
      return at(x) * rstd;
  };
  const T along_one = Centred ? cpu_blocks::sum<T>(cols, [&](auto at) -> Block<T> { return gradient(at) * at(gain); }) /
                                    static_cast<T>(cols)
                              : T(0);
  const T along_x =
      cpu_blocks::sum<T>(cols, [&](auto at) -> Block<T> { return gradient(at) * at(gain) * normalized(at); }) /
      static_cast<T>(cols);
  cpu_blocks::store(dgain, cols, [&](auto at) -> Block<T> { return at(dgain) + gradient(at) * normalized(at); });
  if constexpr (Centred) cpu_blocks::store(dbias, cols, [&](auto at) -> Block<T> { return at(dbias) + gradient(at); });
  cpu_blocks::store(dx, cols, [&](auto at) -> Block<T> {  // last: dx may be dy
    const Block<T> result = rstd * (gradient(at) * at(gain) - along_one - normalized(at) * along_x);
    if constexpr (Accumulate)
      return at(dx) + result;
    else
      return result;
  });
}

/// The gradients of either norm; RMSNorm is not `Centred`: it has no mean and no bias. dgain and dbias are summed
/// within chunks of rows, then over the chunks in order. The sums of the chunks lie in the caller's workspace, which
/// nothing else uses meanwhile.
template <class T, class Op>
void norm_backward(CpuEngine<T>& cpu, const Op& op) {
  constexpr bool Centred = std::is_same_v<Op, ops::LayerNormBackwardOf<T>>;
  const auto dy = op.dy, x = op.x, y = op.y, gain = op.gain, stats = op.stats, dx = op.dx, dgain = op.dgain;
  const bool relu = op.relu, accumulate = op.into == Into::Add;
  assert(x.rows == dy.rows && x.cols == dy.cols && dx.rows == dy.rows && dx.cols == dy.cols && stats.rows == x.rows);
  assert(gain.cols == x.cols && dgain.cols == x.cols && (!relu || y.rows == x.rows));
  if (x.size() == 0) return;
  constexpr int most_chunks = 32, vectors = Centred ? 2 : 1;
  const int cols = x.cols;
  const auto wanted = (x.rows + cpu_blocks::row_grain(cols) - 1) / cpu_blocks::row_grain(cols);
  const int chunks = static_cast<int>(std::min<std::ptrdiff_t>(most_chunks, wanted));
  T* const sums = cpu.workspaces[0].reserve(std::size_t{vectors} * static_cast<std::size_t>(chunks) *
                                            static_cast<std::size_t>(cols));
  cpu.threads.run(chunks, [&](int chunk, int) {
    T* const gain_sum = sums + std::ptrdiff_t{vectors} * chunk * cols;
    T* const bias_sum = Centred ? gain_sum + cols : nullptr;
    std::fill_n(gain_sum, vectors * cols, T(0));
    const auto begin = static_cast<int>(std::ptrdiff_t{x.rows} * chunk / chunks);
    const auto end = static_cast<int>(std::ptrdiff_t{x.rows} * (chunk + 1) / chunks);
    for (int r = begin; r < end; ++r) {
      const auto run = [&]<bool Relu, bool Accumulate>() {
        const T* const s = stats.row(r);
        backward_row<Centred, Relu, Accumulate, T>(dy.row(r), x.row(r), Relu ? y.row(r) : nullptr, gain.data,
                                                   Centred ? s[0] : T(0), s[vectors - 1], cols, dx.row(r), gain_sum,
                                                   bias_sum);
      };
      if (relu && accumulate) run.template operator()<true, true>();
      if (relu && !accumulate) run.template operator()<true, false>();
      if (!relu && accumulate) run.template operator()<false, true>();
      if (!relu && !accumulate) run.template operator()<false, false>();
    }
  });
  cpu.split(cols, std::max<std::ptrdiff_t>(64, cpu_blocks::row_grain(2 * chunks)),
            [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
              T* const to_gain = dgain.data + first;
              for (int chunk = 0; chunk < chunks; ++chunk) {
                const T* const gain_sum = sums + std::ptrdiff_t{vectors} * chunk * cols + first;
                cpu_blocks::store(to_gain, count, [&](auto at) -> Block<T> { return at(to_gain) + at(gain_sum); });
                if constexpr (Centred) {
                  if (!op.dbias) continue;
                  T* const to_bias = op.dbias.data + first;
                  const T* const bias_sum = gain_sum + cols;
                  cpu_blocks::store(to_bias, count, [&](auto at) -> Block<T> { return at(to_bias) + at(bias_sum); });
                }
              }
            });
}

}  // namespace cpu_normalization

template <class T>
void compute(CpuEngine<T>& cpu, const ops::LayerNormOf<T>& op) {
  const auto x = op.x, gain = op.gain, bias = op.bias, y = op.y, stats = op.stats;
  assert(x.rows == y.rows && x.cols == y.cols && gain.cols == x.cols && (!bias || bias.cols == x.cols));
  assert(stats.rows == x.rows && stats.cols == 2);
  using Block = cpu_blocks::Block<T>;
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    const T *const g = gain.data, *const b = bias.data;
    const auto n = static_cast<T>(x.cols);
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const T* const row = x.row(r);
      const T mean = cpu_blocks::sum<T>(x.cols, [&](auto at) -> Block { return at(row); }) / n;
      const T variance = cpu_blocks::sum<T>(x.cols, [&](auto at) -> Block { return (at(row) - mean).square(); }) / n;
      const T rstd = T(1) / std::sqrt(variance + static_cast<T>(op.epsilon));
      const auto write = [&](auto&& line) {
        if (op.relu)
          cpu_blocks::store(y.row(r), x.cols, [&](auto at) -> Block { return cpu_elementwise::relu<T>(line(at)); });
        else
          cpu_blocks::store(y.row(r), x.cols, line);
      };
      if (bias)
        write([&](auto at) -> Block { return (at(row) - mean) * rstd * at(g) + at(b); });
      else
        write([&](auto at) -> Block { return (at(row) - mean) * rstd * at(g); });
      stats.row(r)[0] = mean;
      stats.row(r)[1] = rstd;
    }
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::RmsNormOf<T>& op) {
  const auto x = op.x, gain = op.gain, y = op.y, stats = op.stats;
  assert(x.rows == y.rows && x.cols == y.cols && gain.cols == x.cols && stats.rows == x.rows && stats.cols == 1);
  using Block = cpu_blocks::Block<T>;
  cpu.split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    const T* const g = gain.data;
    const auto n = static_cast<T>(x.cols);
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const T* const row = x.row(r);
      const T mean_square = cpu_blocks::sum<T>(x.cols, [&](auto at) -> Block { return at(row).square(); }) / n;
      const T rstd = T(1) / std::sqrt(mean_square + static_cast<T>(op.epsilon));
      const auto line = [&](auto at) -> Block { return at(row) * rstd * at(g); };
      if (op.relu)
        cpu_blocks::store(y.row(r), x.cols, [&](auto at) -> Block { return cpu_elementwise::relu<T>(line(at)); });
      else
        cpu_blocks::store(y.row(r), x.cols, line);
      stats.row(r)[0] = rstd;
    }
  });
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::LayerNormBackwardOf<T>& op) {
  assert((!op.dbias || op.dbias.cols == op.x.cols) && op.stats.cols == 2);
  cpu_normalization::norm_backward(cpu, op);
}

template <class T>
void compute(CpuEngine<T>& cpu, const ops::RmsNormBackwardOf<T>& op) {
  assert(op.stats.cols == 1);
  cpu_normalization::norm_backward(cpu, op);
}

}  // namespace neural_attention
