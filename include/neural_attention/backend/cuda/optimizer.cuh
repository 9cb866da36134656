// Clipping, and update rules on flat views: a thread updates a group of parameters in one pass over gradient, value and
// moments. Whether it may, and by what the gradient is scaled, it reads on the device; its operands need not wait for
// that.
#pragma once

#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <utility>

#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/backend/cuda/sums.cuh"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/operations/optimizer.hpp"

namespace neural_attention::cuda_backend {

/// From the sums of sum_squares. One block.
template <class T>
__global__ void clipping_kernel(const T* sums, int n, double limit, StepOutcome* outcome) {
  const double squared_norm = total_of(sums, n);
  if (threadIdx.x > 0) return;
  const double norm = sqrt(squared_norm), scale = limit / (norm + 1e-6);
  outcome->squared_norm = squared_norm;
  outcome->gradient_scale = limit > 0.0 && scale < 1.0 ? scale : 1.0;
  outcome->finite = std::isfinite(norm) && std::isfinite(outcome->smoothed_loss);
}

/// `partial` has squared_norm_partials(gradient.size()) numbers.
inline void clipping(RowsOf<float> gradient, double limit, double* partial, StepOutcome* outcome, Stream stream) {
  sum_squares(gradient, partial, stream);
  launch("clipping", clipping_kernel<double>, dim3(1), dim3(sum_threads), 0, stream, partial,
         squared_norm_partials(gradient.size()), limit, outcome);
}

/// By the squared norm that `outcome` has.
inline void clipping(double limit, StepOutcome* outcome, Stream stream) {
  launch("clipping", clipping_kernel<double>, dim3(1), dim3(sum_threads), 0, stream, &outcome->squared_norm, 1, limit,
         outcome);
}

template <class Rule>
struct UpdateMap {
  static constexpr std::size_t kept = Rule::moments.size();
  typename Rule::template Function<float> rule;
  RowsOf<float> gradient, value;
  std::array<RowsOf<float>, kept> moments;
  const StepOutcome* outcome;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    run<Aligned>(row, col, count, std::make_index_sequence<kept>());
  }

 private:
  template <bool Aligned, std::size_t... I>
  __device__ void run(int row, int col, int count, std::index_sequence<I...>) const {
    const auto g = load<Aligned>(gradient.row(row) + col, count);
    auto w = load<Aligned>(value.row(row) + col, count);
    [[maybe_unused]] std::array<Group<float>, kept> m = {load<Aligned>(moments[I].row(row) + col, count)...};
    if (!outcome->finite) return;
    const auto scale = static_cast<float>(outcome->gradient_scale);
    for (int i = 0; i < group; ++i) rule(g.at[i] * scale, w.at[i], std::get<I>(m).at[i]...);
    store<Aligned>(value.row(row) + col, count, w);
    (store<Aligned>(moments[I].row(row) + col, count, std::get<I>(m)), ...);
  }
};

template <class T, class Rule>
void update(const ops::UpdateOf<T, Rule>& op, Stream stream) {
  assert(op.gradient.size() == op.value.size());
  bool whole = aligned(op.gradient) && aligned(op.value);
  for (const auto& moment : op.moments) {
    assert(moment.size() == op.value.size());
    whole = whole && aligned(moment);
  }
  const typename Rule::template Function<float> rule(op.rule);
  map(Rule::name.data(), UpdateMap<Rule>{rule, op.gradient, op.value, op.moments, op.outcome}, op.value.rows,
      op.value.cols, whole, stream);
}

}  // namespace neural_attention::cuda_backend
