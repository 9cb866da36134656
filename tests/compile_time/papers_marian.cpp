// limit: 6 s
// Constructs the paper's Marian and trains it for a step.
#include <neural_attention/neural_attention.hpp>
#include <span>
#include <vector>

namespace na = neural_attention;

int main() {
  using Model = na::Marian<na::Cpu<float>, na::paper::marian>;
  na::Cpu<float> cpu;
  Model model(cpu, na::marian_small(4000));
  na::TrainingStep<Model> training(cpu, model, {.learning_rate = 1e-3}, {});
  na::TranslationBatch batch(model.config().pad_token_id);
  batch.push(std::vector{5, 6, 0}, std::vector{7, 8, 0});
  return training.run(std::span(&batch, 1)).loss.tokens == 3 ? 0 : 1;
}
