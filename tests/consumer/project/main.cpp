// Two translation units include everything: a function that is not inline would be defined twice. Both make a model,
// and this one trains it: header-only, the kernels are instantiated here. Where one unit uses the compiled kernels and
// the other those of the headers, their backends are different types.
#include <cstdio>
#include <neural_attention/neural_attention.hpp>
#include <typeinfo>

namespace na = neural_attention;

long parameters_of_linear_model();
const std::type_info& backend_of_other_unit();

#ifdef CONSUMER_TRANSLATES
bool translates();
#endif
#ifdef CONSUMER_HAS_GPU
bool multiplies_on_gpu();
#endif

int main() {
#ifdef CONSUMER_TRANSLATES
  if (!translates()) return 2;
#endif
#ifdef CONSUMER_HAS_GPU
  if (!multiplies_on_gpu()) return 4;
#endif
  if ((backend_of_other_unit() != typeid(na::Cpu<float>)) != CONSUMER_MIXED) return 3;
  na::MarianConfig config = na::marian_small(8);
  config.d_model = config.encoder_ffn_dim = config.decoder_ffn_dim = 16;
  config.encoder_layers = config.decoder_layers = 1;
  na::Cpu<float> cpu;
  using Model = na::Marian<na::Cpu<float>, na::paper::marian>;
  Model model(cpu, config);
  na::TrainingStep<Model> training(cpu, model, {.learning_rate = 1e-3}, {});
  na::TranslationBatch batch(7);
  const std::vector<int> source{1, 2, 3, 0}, target{3, 2, 1, 0};
  batch.push(source, target);
  const auto loss = training.run(std::span(&batch, 1)).loss;
  const double mean = loss.smoothed / double(loss.tokens);
  const long linear = parameters_of_linear_model();
  std::printf("neural_attention %s: loss %.3f, %ld parameters when linear\n", na::version_string.data(), mean, linear);
  return mean > 0.1 && mean < 10 && linear > 0 ? 0 : 1;
}
