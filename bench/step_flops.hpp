// Floating point operations of a training step that no implementation can do without, counted by a profile of one pass:
// 6 for each weight and token that meets it, 12 · width for each pair of a query and a key that it attends to.
// Recomputation, norms and activations are not counted.
#pragma once

#include "neural_attention/core/pass.hpp"
#include "neural_attention/report/profile.hpp"

namespace bench {

struct StepFlops {
  double weights = 0.0;    ///< of the products with weight matrices
  double attention = 0.0;  ///< of the products inside attention
};

/// Of a step on `batch`. Runs forward and backward; the parameters stay as they are.
template <class Model>
StepFlops step_flops(typename Model::Backend& backend, Model& model, const typename Model::Batch& batch) {
  namespace na = neural_attention;
  na::PassMemory<typename Model::Backend> memory(backend);
  const auto outcome = backend.allocate(sizeof(na::StepOutcome));
  typename Model::Saved saved;
  na::report::Profile profile(0);
  model.loss_and_gradient(memory.begin_training(), batch, 0.0, 1.0, na::Into::Write,
                          static_cast<na::StepOutcome*>(outcome.data()), saved);
  StepFlops flops;
  for (const auto& row : profile.rows()) {
    // Backward runs once where forward may be run again.
    if (row.operation == "linear_input_gradient" || row.operation == "linear_weight_gradient")
      flops.weights += 1.5 * row.flop;
    if (row.operation == "attention_backward") flops.attention += 1.2 * row.flop;  // without the scores made again
  }
  return flops;
}

}  // namespace bench
