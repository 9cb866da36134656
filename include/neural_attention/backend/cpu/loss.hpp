// Label-smoothed cross-entropy on the CPU, in place: per row, with p = softmax(logits + bias) and V the vocabulary,
// loss = log Σ exp(l) - (1-ε) l_target - ε mean(l), gradient = p - (1-ε) onehot - ε/V. A row stays in cache for its
// three passes: maximum and sum, exponentials, gradient. Also the greedy choice, argmax.
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

/// Largest element and sum of all of x + bias (bias may be null). A NaN shows in the sum.
template <class T>
struct MaximumAndSum {
  T maximum;
  T sum;
};

template <class T>
Block<T> logits_at(const auto& at, const T* x, const T* bias) {
  return bias ? Block<T>(at(x) + at(bias)) : Block<T>(at(x));
}

template <class T>
T maximum(const T* x, const T* bias, std::ptrdiff_t n) {
  constexpr int size = cpu_blocks::block_size;
  Block<T> most = Block<T>::Constant(-std::numeric_limits<T>::infinity());
  std::ptrdiff_t i = 0;
  for (; i + size <= n; i += size) most = most.max(logits_at<T>(cpu_blocks::WholeBlock<T>{i}, x, bias));
  T result = most.maxCoeff();
  for (; i < n; ++i) result = std::max(result, bias ? x[i] + bias[i] : x[i]);
  return result;
}

/// The first index with x + bias equal to `value`, or n.
template <class T>
std::ptrdiff_t find(const T* x, const T* bias, std::ptrdiff_t n, T value) {
  constexpr int size = cpu_blocks::block_size;
  std::ptrdiff_t i = 0;
  while (i + size <= n && !(logits_at<T>(cpu_blocks::WholeBlock<T>{i}, x, bias) == value).any()) i += size;
  while (i < n && !((bias ? x[i] + bias[i] : x[i]) == value)) ++i;
  return i;
}

}  // namespace cpu_loss

template <class T>
void Cpu<T>::cross_entropy(Matrix logits, Matrix bias, std::span<const int> targets, double smoothing,
                           double gradient_scale, Matrix losses) {
  using namespace cpu_loss;
  assert(std::ssize(targets) == logits.rows && losses.rows == logits.rows && losses.cols == 2);
  assert(!bias || bias.cols == logits.cols);
  const int n = logits.cols;
  const T* const b = bias.data;
  const T even = static_cast<T>(smoothing), hit = static_cast<T>(1.0 - smoothing);
  split(logits.rows, cpu_blocks::row_grain(n), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      T* const x = logits.row(r);
      const int target = targets[r];
      assert(target >= 0 && target < n);
      const T at_target = b ? x[target] + b[target] : x[target];
      const T top = maximum(x, b, n);
      const T mean = even == T(0) ? T(0) : cpu_blocks::sum<T>(n, [&](auto at) -> Block<T> {
                                             return logits_at<T>(at, x, b);
                                           }) / static_cast<T>(n);
      T total;
      if (gradient_scale == 0.0) {
        total = cpu_blocks::sum<T>(n, [&](auto at) -> Block<T> { return (logits_at<T>(at, x, b) - top).exp(); });
      } else {
        cpu_blocks::store(x, n, [&](auto at) -> Block<T> { return (logits_at<T>(at, x, b) - top).exp(); });
        total = cpu_blocks::sum<T>(n, [&](auto at) -> Block<T> { return at(x); });
        const T factor = static_cast<T>(gradient_scale) / total;
        const T shift = static_cast<T>(gradient_scale * smoothing / n);
        cpu_blocks::store(x, n, [&](auto at) -> Block<T> { return at(x) * factor - shift; });
        x[target] -= static_cast<T>(gradient_scale) * hit;
      }
      const T log_sum = top + std::log(total);
      losses.row(r)[0] = hit * (log_sum - at_target) + (even == T(0) ? T(0) : even * (log_sum - mean));
      losses.row(r)[1] = log_sum - at_target;
    }
  });
}

template <class T>
void Cpu<T>::argmax(Matrix logits, Matrix bias, int excluded, std::span<int> indices) {
  using namespace cpu_loss;
  assert(std::ssize(indices) == logits.rows && (!bias || bias.cols == logits.cols));
  const int n = logits.cols;
  const int before = excluded >= 0 && excluded < n ? excluded : n;
  const int after = std::min(before + 1, n);
  const T* const b = bias.data;
  const T* const b_after = b ? b + after : nullptr;
  split(logits.rows, cpu_blocks::row_grain(n), [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    for (auto r = static_cast<int>(first); r < first + count; ++r) {
      const T* const x = logits.row(r);
      const T left = maximum(x, b, before), right = maximum(x + after, b_after, n - after);
      auto index =
          right > left || before == 0 ? after + find(x + after, b_after, n - after, right) : find(x, b, before, left);
      // Not found: nothing but NaN. Any allowed index will do.
      if (index == before || index >= n) index = before == 0 ? std::min(1, n - 1) : 0;
      indices[r] = static_cast<int>(index);
    }
  });
}

}  // namespace neural_attention
