// What attention makes of a product of a query and a key: scale · x or, with a soft cap c, c · tanh(scale · x / c).
#pragma once

#include <algorithm>
#include <cfloat>

#include "neural_attention/backend/cuda/device.cuh"
#include "neural_attention/core/kinds.hpp"

namespace neural_attention::cuda_backend {

/// The scores of products of queries and keys.
struct Scores {
  explicit Scores(const AttentionShape& shape)
      : scale(static_cast<float>(shape.scale)),
        cap(shape.soft_cap > 0.0 ? std::max(static_cast<float>(shape.soft_cap), FLT_MIN) : 0.0f),
        inner(capped() ? static_cast<float>(std::min(shape.scale / shape.soft_cap, double(FLT_MAX))) : 0.0f) {}
  float scale, cap, inner;

  constexpr bool capped() const { return cap > 0.0f; }
  template <bool Capped>
  __device__ float score(float product) const {
    return Capped ? cap * tanhf(inner * product) : scale * product;
  }
  /// The derivative of score().
  template <bool Capped>
  __device__ float slope(float score) const {
    return Capped ? scale * (1.0f - score / cap * (score / cap)) : scale;
  }
  __device__ float score(float product) const { return capped() ? score<true>(product) : score<false>(product); }
  __device__ float slope(float at) const { return capped() ? slope<true>(at) : slope<false>(at); }
};

}  // namespace neural_attention::cuda_backend
