#include <neural_attention/neural_attention.hpp>

namespace na = neural_attention;

long parameters_of_linear_model();

long parameters_of_linear_model() {
  na::MarianConfig config = na::marian_small(8);
  config.d_model = config.encoder_ffn_dim = config.decoder_ffn_dim = 16;
  config.encoder_layers = config.decoder_layers = 1;
  na::Cpu<float> cpu;
  const na::Marian<na::Cpu<float>, na::paper::marian_baseline> model(cpu, config);
  return model.parameters().count();
}
