// Clipping, and optimizers on flat views: a thread updates a group of parameters in one pass over gradient, value and
// moments. Whether it may, and by what the gradient is scaled, it reads on the device; its operands need not wait for
// that.
#pragma once

#include <cassert>
#include <cmath>

#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/backend/cuda/elementwise.cuh"
#include "neural_attention/backend/cuda/sums.cuh"
#include "neural_attention/core/kinds.hpp"

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

/// AdamStep with all that depends on the step number worked out.
struct AdamFactors {
  explicit AdamFactors(const AdamStep& how)
      : decay(static_cast<float>(how.decoupled ? 0.0 : how.weight_decay)),
        shrink(static_cast<float>(how.decoupled ? 1.0 - how.learning_rate * how.weight_decay : 1.0)),
        keep1(static_cast<float>(how.beta1)),
        keep2(static_cast<float>(how.beta2)),
        take1(static_cast<float>(1.0 - how.beta1)),
        take2(static_cast<float>(1.0 - how.beta2)),
        correction(static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(how.beta2, static_cast<double>(how.step))))),
        rate(static_cast<float>(how.learning_rate / (1.0 - std::pow(how.beta1, static_cast<double>(how.step))))),
        epsilon(static_cast<float>(how.epsilon)) {}
  float decay, shrink, keep1, keep2, take1, take2, correction, rate, epsilon;
};

struct AdamMap {
  AdamFactors how;
  RowsOf<float> gradient, value, first, second;
  const StepOutcome* outcome;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    const auto g = load<Aligned>(gradient.row(row) + col, count);
    auto w = load<Aligned>(value.row(row) + col, count);
    auto m = load<Aligned>(first.row(row) + col, count), v = load<Aligned>(second.row(row) + col, count);
    if (!outcome->finite) return;
    const auto scale = static_cast<float>(outcome->gradient_scale);
    for (int i = 0; i < group; ++i) {
      const float slope = g.at[i] * scale + w.at[i] * how.decay;
      m.at[i] = m.at[i] * how.keep1 + slope * how.take1;
      v.at[i] = v.at[i] * how.keep2 + slope * slope * how.take2;
      w.at[i] = w.at[i] * how.shrink - how.rate * m.at[i] / (sqrtf(v.at[i]) * how.correction + how.epsilon);
    }
    store<Aligned>(value.row(row) + col, count, w);
    store<Aligned>(first.row(row) + col, count, m);
    store<Aligned>(second.row(row) + col, count, v);
  }
};

inline void adam(const AdamStep& how, RowsOf<float> gradient, RowsOf<float> value, RowsOf<float> first,
                 RowsOf<float> second, const StepOutcome* outcome, Stream stream) {
  assert(gradient.size() == value.size() && first.size() == value.size() && second.size() == value.size());
  assert(how.step >= 1);
  const bool whole = aligned(gradient) && aligned(value) && aligned(first) && aligned(second);
  map("adam", AdamMap{AdamFactors(how), gradient, value, first, second, outcome}, value.rows, value.cols, whole,
      stream);
}

template <bool Momentum>
struct SgdMap {
  float decay, rate, momentum;
  bool nesterov;
  RowsOf<float> gradient, value, velocity;
  const StepOutcome* outcome;
  template <bool Aligned>
  __device__ void run(int row, int col, int count) const {
    const auto g = load<Aligned>(gradient.row(row) + col, count);
    auto w = load<Aligned>(value.row(row) + col, count);
    Group<float> u{};
    if constexpr (Momentum) u = load<Aligned>(velocity.row(row) + col, count);
    if (!outcome->finite) return;
    const auto scale = static_cast<float>(outcome->gradient_scale);
    for (int i = 0; i < group; ++i) {
      const float slope = g.at[i] * scale + w.at[i] * decay;
      u.at[i] = momentum * u.at[i] + slope;
      w.at[i] -= rate * (Momentum && !nesterov ? u.at[i] : slope + momentum * u.at[i]);
    }
    store<Aligned>(value.row(row) + col, count, w);
    if constexpr (Momentum) store<Aligned>(velocity.row(row) + col, count, u);
  }
};

inline void sgd(const SgdStep& how, RowsOf<float> gradient, RowsOf<float> value, RowsOf<float> velocity,
                const StepOutcome* outcome, Stream stream) {
  assert(gradient.size() == value.size() && (how.momentum == 0.0 || velocity.size() == value.size()));
  const bool whole = aligned(gradient) && aligned(value) && (how.momentum == 0.0 || aligned(velocity));
  const auto run = [&]<bool Momentum>() {
    map("sgd",
        SgdMap<Momentum>{static_cast<float>(how.weight_decay), static_cast<float>(how.learning_rate),
                         static_cast<float>(how.momentum), how.nesterov, gradient, value, velocity, outcome},
        value.rows, value.cols, whole, stream);
  };
  with_bools(run, how.momentum != 0.0);
}

}  // namespace neural_attention::cuda_backend
