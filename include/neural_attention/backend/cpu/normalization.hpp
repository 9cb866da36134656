// LayerNorm on the CPU: y = (x - mean) · rstd · gain + bias per row, optionally followed by ReLU, and its backward:
// with x̂ = (x - mean) · rstd and g = dy · gain, dx = rstd · (g - mean(g) - x̂ · mean(g · x̂)), dgain = Σ dy · x̂.
// RMSNorm is the same without mean, bias and mean(g), and with rstd = 1/sqrt(mean(x²) + ε) (Zhang & Sennrich 2019).
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>

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

}  // namespace cpu_normalization

template <class T>
void Cpu<T>::layer_norm(Matrix x, Matrix gain, Matrix bias, double epsilon, bool relu, Matrix y, Matrix stats) {
  assert(x.rows == y.rows && x.cols == y.cols && gain.cols == x.cols && bias.cols == x.cols);
  assert(stats.rows == x.rows && stats.cols == 2);
  using Block = cpu_blocks::Block<T>;
  split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    const T *const g = gain.data, *const b = bias.data;
    const auto n = static_cast<T>(x.cols);
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const T* const row = x.row(r);
      const T mean = cpu_blocks::sum<T>(x.cols, [&](auto at) -> Block { return at(row); }) / n;
      const T variance = cpu_blocks::sum<T>(x.cols, [&](auto at) -> Block { return (at(row) - mean).square(); }) / n;
      const T rstd = T(1) / std::sqrt(variance + static_cast<T>(epsilon));
      const auto line = [&](auto at) -> Block { return (at(row) - mean) * rstd * at(g) + at(b); };
      if (relu)
        cpu_blocks::store(y.row(r), x.cols, [&](auto at) -> Block { return cpu_elementwise::relu<T>(line(at)); });
      else
        cpu_blocks::store(y.row(r), x.cols, line);
      stats.row(r)[0] = mean;
      stats.row(r)[1] = rstd;
    }
  });
}

template <class T>
void Cpu<T>::rms_norm(Matrix x, Matrix gain, double epsilon, bool relu, Matrix y, Matrix stats) {
  assert(x.rows == y.rows && x.cols == y.cols && gain.cols == x.cols && stats.rows == x.rows && stats.cols == 1);
  using Block = cpu_blocks::Block<T>;
  split(x.rows, cpu_blocks::row_grain(x.cols), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    const T* const g = gain.data;
    const auto n = static_cast<T>(x.cols);
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const T* const row = x.row(r);
      const T mean_square = cpu_blocks::sum<T>(x.cols, [&](auto at) -> Block { return at(row).square(); }) / n;
      const T rstd = T(1) / std::sqrt(mean_square + static_cast<T>(epsilon));
      const auto line = [&](auto at) -> Block { return at(row) * rstd * at(g); };
      if (relu)
        cpu_blocks::store(y.row(r), x.cols, [&](auto at) -> Block { return cpu_elementwise::relu<T>(line(at)); });
      else
        cpu_blocks::store(y.row(r), x.cols, line);
      stats.row(r)[0] = rstd;
    }
  });
}

// dgain and dbias are summed within chunks of rows, then over the chunks in order. The sums of the chunks lie in the
// caller's workspace, which nothing else uses meanwhile.
template <class T>
template <bool Centred>
void Cpu<T>::norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, Matrix stats, bool relu, bool accumulate,
                           Matrix dx, Matrix dgain, Matrix dbias) {
  using namespace cpu_normalization;
  assert(x.rows == dy.rows && x.cols == dy.cols && dx.rows == dy.rows && dx.cols == dy.cols && stats.rows == x.rows);
  assert(gain.cols == x.cols && dgain.cols == x.cols && (!relu || y.rows == x.rows));
  if (x.size() == 0) return;
  constexpr int most_chunks = 32, vectors = Centred ? 2 : 1;
  const int cols = x.cols;
  const auto wanted = (x.rows + cpu_blocks::row_grain(cols) - 1) / cpu_blocks::row_grain(cols);
  const int chunks = static_cast<int>(std::min<std::ptrdiff_t>(most_chunks, wanted));
  T* const sums =
      workspaces_[0].reserve(std::size_t{vectors} * static_cast<std::size_t>(chunks) * static_cast<std::size_t>(cols));
  threads_.run(chunks, [&](int chunk, int) {
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
  split(cols, std::max<std::ptrdiff_t>(64, cpu_blocks::row_grain(2 * chunks)),
        [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
          T* const to_gain = dgain.data + first;
          for (int chunk = 0; chunk < chunks; ++chunk) {
            const T* const gain_sum = sums + std::ptrdiff_t{vectors} * chunk * cols + first;
            cpu_blocks::store(to_gain, count, [&](auto at) -> Block<T> { return at(to_gain) + at(gain_sum); });
            if constexpr (Centred) {
              T* const to_bias = dbias.data + first;
              const T* const bias_sum = gain_sum + cols;
              cpu_blocks::store(to_bias, count, [&](auto at) -> Block<T> { return at(to_bias) + at(bias_sum); });
            }
          }
        });
}

template <class T>
void Cpu<T>::layer_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, Matrix stats, bool relu, bool accumulate,
                                 Matrix dx, Matrix dgain, Matrix dbias) {
  assert(dbias.cols == x.cols && stats.cols == 2);
  norm_backward<true>(dy, x, y, gain, stats, relu, accumulate, dx, dgain, dbias);
}

template <class T>
void Cpu<T>::rms_norm_backward(Matrix dy, Matrix x, Matrix y, Matrix gain, Matrix stats, bool relu, bool accumulate,
                               Matrix dx, Matrix dgain) {
  assert(stats.cols == 1);
  norm_backward<false>(dy, x, y, gain, stats, relu, accumulate, dx, dgain, {});
}

}  // namespace neural_attention
