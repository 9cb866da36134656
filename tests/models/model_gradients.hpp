// The gradients of a model's whole loss against numeric ones.
#pragma once

#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/pass.hpp"
#include "neural_attention/testing/check_gradients.hpp"

namespace neural_attention::testing {

/// Those of a tenth of the loss over `batch`, so that the factor of a step's part counts too.
template <class Model>
GradientReport check_model_loss(typename Model::Backend& backend, Model& model, const auto& batch, double smoothing,
                                const GradientOptions& options) {
  using B = typename Model::Backend;
  typename Model::Saved saved;
  constexpr double factor = 0.1;
  return check_loss(
      backend, model.parameters(),
      [&](const Pass<B>& pass) { return factor * model.loss(pass, batch, smoothing, saved).smoothed; },
      [&](const Pass<B>& pass) {
        StepOutcome sums;
        model.loss_and_gradient(pass, batch, smoothing, factor, Into::Write, &sums, saved);
        return factor * sums.smoothed_loss;
      },
      options);
}

}  // namespace neural_attention::testing
