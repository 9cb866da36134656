// Label-smoothed cross-entropy, in place: the formulas are in backend/cpu/loss.hpp. A block takes a row. One pass keeps
// the largest logit and the sum of exponentials relative to it, a second writes the gradient.
#pragma once

#include <cassert>
#include <cmath>

#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/backend/cuda/sums.cuh"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::cuda_backend {

inline constexpr int loss_threads = 512;

/// The largest of some numbers, Σ exp(x - largest), and Σ x. If a number is NaN or +∞, the sum of exponentials is NaN.
struct SoftmaxSums {
  float largest, exponentials, total;  // -∞, 0 and 0 without numbers

  __device__ void add(float x) {
    if (x > largest) {
      exponentials *= expf(largest - x);
      largest = x;
    }
    exponentials += x == -INFINITY ? 0.0f : expf(x - largest);
    total += x;
  }
  __device__ void add(const SoftmaxSums& other) {
    if (other.largest > largest) {
      exponentials *= expf(largest - other.largest);
      largest = other.largest;
    }
    exponentials +=
        other.largest == -INFINITY ? other.exponentials : other.exponentials * expf(other.largest - largest);
    total += other.total;
  }
};

/// The sums of a row whose groups x_at(col, count) returns; a block of loss_threads shares the work, and all threads
/// get the sums.
template <class At>
__device__ SoftmaxSums softmax_sums(int n, At&& x_at) {
  __shared__ SoftmaxSums of_threads[loss_threads];
  SoftmaxSums mine{-INFINITY, 0.0f, 0.0f};
  for (int col = static_cast<int>(threadIdx.x) * group; col < n; col += loss_threads * group) {
    const int count = n - col < group ? n - col : group;
    const auto values = x_at(col, count);
    for (int i = 0; i < group; ++i)
      if (i < count) mine.add(values.at[i]);
  }
  of_threads[threadIdx.x] = mine;
  for (int half = loss_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) of_threads[threadIdx.x].add(of_threads[threadIdx.x + half]);
  }
  __syncthreads();
  return of_threads[0];
}

template <class T, bool Bias, bool Gradient, bool Aligned>
__global__ void cross_entropy_kernel(RowsOf<T> logits, const T* bias, const int* targets, float smoothing,
                                     float gradient_scale, RowsOf<float> losses) {
  const int row = static_cast<int>(blockIdx.x), n = logits.cols;
  T* const x = logits.row(row);
  const int target = targets[row];
  const auto logits_at = [&](int col, int count) {
    auto values = load_of_row<Aligned>(x + col, count);
    if constexpr (Bias) {
      const auto biases = load_of_row<Aligned>(bias + col, count);
      for (int i = 0; i < group; ++i) values.at[i] += biases.at[i];
    }
    return values;
  };
  const auto all = softmax_sums(n, logits_at);
  if (threadIdx.x == 0) {
    const float at_target = static_cast<float>(x[target]) + (Bias ? static_cast<float>(bias[target]) : 0.0f);
    const float log_total = logf(all.exponentials);
    const float plain = log_total + (all.largest - at_target);  // large logits would swallow the log
    const float mean = all.total / static_cast<float>(n);
    losses.row(row)[0] =
        (1.0f - smoothing) * plain + (smoothing == 0.0f ? 0.0f : smoothing * (log_total + (all.largest - mean)));
    losses.row(row)[1] = plain;
  }
  if constexpr (Gradient) {
    __syncthreads();  // thread 0 has read the target's logit
    const float factor = gradient_scale / all.exponentials, shift = gradient_scale * smoothing / static_cast<float>(n);
    for (int col = static_cast<int>(threadIdx.x) * group; col < n; col += loss_threads * group) {
      const int count = n - col < group ? n - col : group;
      auto values = logits_at(col, count);
      for (int i = 0; i < group; ++i) {
        values.at[i] = expf(values.at[i] - all.largest) * factor - shift;
        if (col + i == target) values.at[i] -= gradient_scale * (1.0f - smoothing);
      }
      store_of_row<Aligned>(x + col, count, values);
    }
  }
}

/// Like Cpu's CrossEntropy; `targets` lies on the device.
template <class T>
void cross_entropy(RowsOf<T> logits, RowsOf<T> bias, const int* targets, double smoothing, double gradient_scale,
                   RowsOf<float> losses, Stream stream) {
  assert(losses.rows == logits.rows && losses.cols == 2 && (!bias || bias.cols == logits.cols));
  const bool whole = rows_aligned(logits) && (!bias || rows_aligned(bias));
  const auto run = [&]<bool Bias, bool Gradient, bool Aligned>() {
    launch("cross_entropy", cross_entropy_kernel<T, Bias, Gradient, Aligned>, dim3(static_cast<unsigned>(logits.rows)),
           dim3(loss_threads), 0, stream, logits, bias.data, targets, static_cast<float>(smoothing),
           static_cast<float>(gradient_scale), losses);
  };
  with_bools(run, static_cast<bool>(bias), gradient_scale != 0.0, whole);
}

/// One block for each column.
template <class T>
__global__ void sum_losses_kernel(RowsOf<T> losses, Into into, StepOutcome* outcome) {
  const int col = static_cast<int>(blockIdx.x);
  double mine = 0.0;
  for (int r = static_cast<int>(threadIdx.x); r < losses.rows; r += sum_threads)
    mine += static_cast<double>(losses.row(r)[col]);
  const double sum = block_sum(mine);
  if (threadIdx.x > 0) return;
  double& total = col == 0 ? outcome->smoothed_loss : outcome->negative_log_likelihood;
  total = into == Into::Add ? total + sum : sum;
}

inline void sum_losses(RowsOf<float> losses, Into into, StepOutcome* outcome, Stream stream) {
  assert(losses.rows == 0 || losses.cols == 2);
  launch("sum_losses", sum_losses_kernel<float>, dim3(2), dim3(sum_threads), 0, stream, losses, into, outcome);
}

}  // namespace neural_attention::cuda_backend
