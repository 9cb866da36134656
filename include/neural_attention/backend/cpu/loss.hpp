// Label-smoothed cross-entropy on the CPU, in place: per row, with p = softmax(logits + bias) and V the vocabulary,
// loss = log Σ exp(l) - (1-ε) l_target - ε mean(l), gradient = p - (1-ε) onehot - ε/V. A row stays in cache for its
// three passes: maximum and sum, exponentials, gradient.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

namespace neural_attention {
namespace cpu_loss {

template <class T>
using Block = cpu_blocks::Block<T>;

template <class T>
Block<T> logits_at(const auto& at, const T* x, const T* bias) {
  return bias ? Block<T>(at(x) + at(bias)) : Block<T>(at(x));
}

/// The largest element of x + bias (bias may be null) and, if `sum` is given, their sum.
template <class T>
T maximum(const T* x, const T* bias, std::ptrdiff_t n, T* sum = nullptr) {
  constexpr int size = cpu_blocks::block_size;
  const Block<T> lowest = Block<T>::Constant(-std::numeric_limits<T>::infinity());
  Block<T> most = lowest, most_odd = lowest, all = Block<T>::Zero(), all_odd = all;
  std::ptrdiff_t i = 0;
  for (; i + 2 * size <= n; i += 2 * size) {
    const Block<T> even = logits_at<T>(cpu_blocks::WholeBlock<T>{i}, x, bias);
    const Block<T> odd = logits_at<T>(cpu_blocks::WholeBlock<T>{i + size}, x, bias);
    most = most.max(even);
    most_odd = most_odd.max(odd);
    all += even;
    all_odd += odd;
  }
  T result = most.max(most_odd).maxCoeff(), total = (all + all_odd).sum();
  for (; i < n; ++i) {
    const T logit = bias ? x[i] + bias[i] : x[i];
    result = std::max(result, logit);
    total += logit;
  }
  if (sum) *sum = total;
  return result;
}

/// x = exp(x + bias - top); returns the sum.
template <class T>
T store_exponentials(T* x, const T* bias, std::ptrdiff_t n, T top) {
  Block<T> sums[2] = {Block<T>::Zero(), Block<T>::Zero()};
  int turn = 0;
  std::ptrdiff_t left = n;
  cpu_blocks::store(x, n, [&](auto at) -> Block<T> {
    const Block<T> result = (logits_at<T>(at, x, bias) - top).exp();
    if (left >= cpu_blocks::block_size)
      sums[turn] += result;
    else
      sums[turn].head(left) += result.head(left);
    left -= cpu_blocks::block_size;
    turn = 1 - turn;
    return result;
  });
  return (sums[0] + sums[1]).sum();
}

}  // namespace cpu_loss

template <class T>
void compute(CpuEngine<T>& cpu, const ops::CrossEntropyOf<T>& op) {
  const auto logits = op.logits, bias = op.bias, losses = op.losses;
  const auto smoothing = op.smoothing, gradient_scale = op.gradient_scale;
  using namespace cpu_loss;
  assert(std::ssize(op.targets) == logits.rows && losses.rows == logits.rows && losses.cols == 2);
  assert(!bias || bias.cols == logits.cols);
  const int n = logits.cols;
  const T* const b = bias.data;
  const T even = static_cast<T>(smoothing), hit = static_cast<T>(1.0 - smoothing);
  cpu.split(logits.rows, cpu_blocks::row_grain(n), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      T* const x = logits.row(r);
      const int target = op.targets[r];
      assert(target >= 0 && target < n);
      const T at_target = b ? x[target] + b[target] : x[target];
      T all = T(0);
      const T top = maximum(x, b, n, &all);
      const T mean = all / static_cast<T>(n);
      T total;
      if (gradient_scale == 0.0) {
        total = cpu_blocks::sum<T>(n, [&](auto at) -> Block<T> { return (logits_at<T>(at, x, b) - top).exp(); });
      } else {
        total = store_exponentials(x, b, n, top);
        const T factor = static_cast<T>(gradient_scale) / total;
        const T shift = static_cast<T>(gradient_scale * smoothing / n);
        cpu_blocks::store(x, n, [&](auto at) -> Block<T> { return at(x) * factor - shift; });
        x[target] -= static_cast<T>(gradient_scale) * hit;
      }
      const T log_total = std::log(total);
      const T plain = log_total + (top - at_target);  // not (log_total + top) - …: large logits would swallow the log
      losses.row(r)[0] = hit * plain + (even == T(0) ? T(0) : even * (log_total + (top - mean)));
      losses.row(r)[1] = plain;
    }
  });
}

template <class T>
void compute(CpuEngine<T>&, const ops::SumLossesOf<T>& op) {
  const auto losses = op.losses;
  const bool accumulate = op.into == Into::Add;
  const auto outcome = op.outcome;
  assert(losses.rows == 0 || losses.cols == 2);
  double smoothed = 0.0, plain = 0.0;
  for (int r = 0; r < losses.rows; ++r) {
    smoothed += static_cast<double>(losses.row(r)[0]);
    plain += static_cast<double>(losses.row(r)[1]);
  }
  outcome->smoothed_loss = accumulate ? outcome->smoothed_loss + smoothed : smoothed;
  outcome->negative_log_likelihood = accumulate ? outcome->negative_log_likelihood + plain : plain;
}

}  // namespace neural_attention
