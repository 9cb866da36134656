// LayerNorm and RMSNorm, forward and backward; backend/cpu/normalization.hpp has the formulas. A warp takes a row,
// which stays in the first-level cache for its passes. In the backward pass a warp takes several rows, one after
// another, and sums their dgain and dbias in a row of partial sums, which a second kernel adds up in order.
#pragma once

#include <algorithm>
#include <cassert>

#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/backend/cuda/sums.cuh"
#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention::cuda_backend {

inline constexpr int norm_warps = 4;  ///< of a block

/// Visits the groups of a row that belong to this lane: use(col, count).
template <class Use>
__device__ void for_each_group(int cols, Use&& use) {
  for (int col = static_cast<int>(threadIdx.x) % warp_size * group; col < cols; col += warp_size * group)
    use(col, cols - col < group ? cols - col : group);
}

/// stats [rows, 2] (mean, rstd), or [rows, 1] (rstd) without `Centred`.
template <class T, bool Centred, bool Relu, bool Aligned>
__global__ void norm_kernel(RowsOf<T> x, const T* gain, const T* bias, float epsilon, RowsOf<T> y,
                            RowsOf<float> stats) {
  const int row = static_cast<int>(blockIdx.x) * norm_warps + static_cast<int>(threadIdx.x) / warp_size;
  if (row >= x.rows) return;
  const T* const from = x.row(row);
  const float n = static_cast<float>(x.cols);
  float mean = 0.0f;
  if constexpr (Centred) {
    float sum = 0.0f;
    for_each_group(x.cols, [&](int col, int count) {
      const auto values = load<Aligned>(from + col, count);
      for (const float value : values.at) sum += value;
    });
    mean = warp_sum(sum) / n;
  }
  float squares = 0.0f;
  for_each_group(x.cols, [&](int col, int count) {
    const auto values = load<Aligned>(from + col, count);
    for (int i = 0; i < group; ++i)
      if (Aligned || i < count) squares += (values.at[i] - mean) * (values.at[i] - mean);
  });
  const float rstd = 1.0f / sqrtf(warp_sum(squares) / n + epsilon);
  for_each_group(x.cols, [&](int col, int count) {
    auto values = load<Aligned>(from + col, count);
    const auto gains = load<Aligned>(gain + col, count);
    Group<float> biases{};
    if constexpr (Centred)
      if (bias != nullptr) biases = load<Aligned>(bias + col, count);
    for (int i = 0; i < group; ++i) {
      const float value = (values.at[i] - mean) * rstd * gains.at[i] + biases.at[i];
      values.at[i] = Relu && value < 0.0f ? 0.0f : value;
    }
    store<Aligned>(y.row(row) + col, count, values);
  });
  if (threadIdx.x % warp_size == 0) {
    if constexpr (Centred) stats.row(row)[0] = mean;
    stats.row(row)[Centred ? 1 : 0] = rstd;
  }
}

/// partial [blocks · norm_warps, 2 or 1, cols] receives Σ dy · x̂ and Σ dy over the rows of each warp. The sums are
/// made in shared memory if the launch provides it (`in_shared`).
template <class T, bool Centred, bool Relu, bool Accumulate, bool Aligned>
__global__ void norm_backward_kernel(RowsOf<T> dy, RowsOf<T> x, RowsOf<T> y, const T* gain, RowsOf<float> stats,
                                     RowsOf<T> dx, float* partial, bool in_shared) {
  const int cols = x.cols, warps = static_cast<int>(gridDim.x) * norm_warps;
  const int warp = static_cast<int>(blockIdx.x) * norm_warps + static_cast<int>(threadIdx.x) / warp_size;
  const float n = static_cast<float>(cols);
  float* const of_warp = partial + std::ptrdiff_t{warp} * (Centred ? 2 : 1) * cols;
  float* const gain_sums = in_shared ? shared_memory<float>() + warp % norm_warps * (Centred ? 2 : 1) * cols : of_warp;
  float* const bias_sums = gain_sums + cols;
  for_each_group(cols, [&](int col, int count) {
    store<Aligned>(gain_sums + col, count, Group<float>{});
    if constexpr (Centred) store<Aligned>(bias_sums + col, count, Group<float>{});
  });
  for (int row = warp; row < x.rows; row += warps) {
    const float mean = Centred ? stats.row(row)[0] : 0.0f, rstd = stats.row(row)[Centred ? 1 : 0];
    // Calls use(col, count, dy after the ReLU, x̂, gain) for each group.
    const auto visit = [&](auto&& use) {
      for_each_group(cols, [&](int col, int count) {
        auto gradients = load<Aligned>(dy.row(row) + col, count);
        if constexpr (Relu) {
          const auto results = load<Aligned>(y.row(row) + col, count);
          for (int i = 0; i < group; ++i) gradients.at[i] = results.at[i] > 0.0f ? gradients.at[i] : 0.0f;
        }
        auto normalized = load<Aligned>(x.row(row) + col, count);
        for (float& value : normalized.at) value = (value - mean) * rstd;
        use(col, count, gradients, normalized, load<Aligned>(gain + col, count));
      });
    };
    float sum = 0.0f, sum_x = 0.0f;
    visit([&](int, int, const Group<float>& gradients, const Group<float>& normalized, const Group<float>& gains) {
      for (int i = 0; i < group; ++i) {  // beyond the row the gradients are 0
        sum += gradients.at[i] * gains.at[i];
        sum_x += gradients.at[i] * gains.at[i] * normalized.at[i];
      }
    });
    const float along_one = Centred ? warp_sum(sum) / n : 0.0f, along_x = warp_sum(sum_x) / n;
    visit([&](int col, int count, const Group<float>& gradients, const Group<float>& normalized,
              const Group<float>& gains) {
      auto of_gain = load<Aligned>(gain_sums + col, count);
      Group<float> of_bias{}, old{}, result;
      if constexpr (Centred) of_bias = load<Aligned>(bias_sums + col, count);
      if constexpr (Accumulate) old = load<Aligned>(dx.row(row) + col, count);
      for (int i = 0; i < group; ++i) {
        of_gain.at[i] += gradients.at[i] * normalized.at[i];
        of_bias.at[i] += gradients.at[i];
        result.at[i] = old.at[i] + rstd * (gradients.at[i] * gains.at[i] - along_one - normalized.at[i] * along_x);
      }
      store<Aligned>(gain_sums + col, count, of_gain);
      if constexpr (Centred) store<Aligned>(bias_sums + col, count, of_bias);
      store<Aligned>(dx.row(row) + col, count, result);  // last: dx may be dy
    });
  }
  if (!in_shared) return;
  for_each_group(cols, [&](int col, int count) {
    store<Aligned>(of_warp + col, count, load<Aligned>(gain_sums + col, count));
    if constexpr (Centred) store<Aligned>(of_warp + cols + col, count, load<Aligned>(bias_sums + col, count));
  });
}

struct NormForm {
  bool centred;  ///< LayerNorm, with or without a bias; otherwise RMSNorm
  bool relu;     ///< after it
};

/// y = norm(x)
template <class T>
void norm(NormForm form, RowsOf<T> x, RowsOf<T> gain, RowsOf<T> bias, double epsilon, RowsOf<T> y, RowsOf<float> stats,
          Stream stream) {
  assert(x.rows == y.rows && x.cols == y.cols && gain.cols == x.cols && (!bias || bias.cols == x.cols));
  assert(stats.rows == x.rows && stats.cols == (form.centred ? 2 : 1));
  const bool whole = aligned(x) && aligned(y) && aligned(gain) && (!bias || aligned(bias));
  const auto run = [&]<bool Centred, bool Relu, bool Aligned>() {
    launch("norm", norm_kernel<T, Centred, Relu, Aligned>, dim3(static_cast<unsigned>(pieces(x.rows, norm_warps))),
           dim3(norm_warps * warp_size), 0, stream, x, gain.data, bias.data, static_cast<float>(epsilon), y, stats);
  };
  with_bools(run, form.centred, form.relu, whole);
}

/// The rows of partial sums that norm_backward needs: its workspace has norm_partials(rows) · 2 · cols floats.
inline int norm_partials(int rows) {
  constexpr int most_blocks = 264;  // two for each multiprocessor of a large GPU; the same on all, for the same sums
  return std::min(most_blocks, pieces(rows, norm_warps)) * norm_warps;
}

/// The gradients of `norm`; dgain and, if there is a bias, dbias accumulate.
template <class T>
void norm_backward(NormForm form, RowsOf<T> dy, RowsOf<T> x, RowsOf<T> y, RowsOf<T> gain, RowsOf<float> stats,
                   Into into, RowsOf<T> dx, RowsOf<float> dgain, RowsOf<float> dbias, float* workspace, Stream stream) {
  assert(x.rows == dy.rows && x.cols == dy.cols && dx.rows == dy.rows && dx.cols == dy.cols && stats.rows == x.rows);
  assert(gain.cols == x.cols && dgain.cols == x.cols && (!form.relu || y.rows == x.rows));
  if (x.size() == 0) return;
  const bool whole = aligned(dy) && aligned(x) && (!form.relu || aligned(y)) && aligned(gain) && aligned(dx);
  const int partials = norm_partials(x.rows), vectors = form.centred ? 2 : 1;
  constexpr std::size_t shared_limit = 48 * 1024;
  const auto sums_bytes = std::size_t{norm_warps} * vectors * x.cols * sizeof(float);
  const bool in_shared = sums_bytes <= shared_limit;
  const auto run = [&]<bool Centred, bool Relu, bool Accumulate, bool Aligned>() {
    launch("norm_backward", norm_backward_kernel<T, Centred, Relu, Accumulate, Aligned>,
           dim3(static_cast<unsigned>(partials / norm_warps)), dim3(norm_warps * warp_size), in_shared ? sums_bytes : 0,
           stream, dy, x, y, gain.data, stats, dx, workspace, in_shared);
  };
  with_bools(run, form.centred, form.relu, into == Into::Add, whole);
  const auto stride = std::ptrdiff_t{vectors} * x.cols;
  add_rows(workspace, partials, x.cols, stride, dgain.data, stream);
  if (form.centred && dbias) add_rows(workspace + x.cols, partials, x.cols, stride, dbias.data, stream);
}

}  // namespace neural_attention::cuda_backend
