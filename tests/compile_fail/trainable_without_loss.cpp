// expect: a trainable model needs LossSum loss(const Pass<Backend>&, const Batch&, double smoothing, Saved&) const
// A model that lacks loss() is refused in one sentence that names it.
#include <neural_attention/neural_attention.hpp>

namespace na = neural_attention;

struct NoLoss {
  using Backend = na::Cpu<float>;
  struct Saved {};
  na::ParameterStore<Backend>& parameters();
  const na::ParameterStore<Backend>& parameters() const;
  void loss_and_gradient(const na::Pass<Backend>&, const na::CausalBatch&, double, double, na::Into, na::StepOutcome*,
                         Saved&);
};

template na::LossSum na::TrainingStep<NoLoss>::evaluate(const na::CausalBatch&, double);
