#include <neural_attention/neural_attention.hpp>
#include <typeinfo>

namespace na = neural_attention;

long parameters_of_linear_model();
const std::type_info& backend_of_other_unit();

const std::type_info& backend_of_other_unit() { return typeid(na::Cpu<float>); }

long parameters_of_linear_model() {
  na::MarianConfig config = na::marian_small(8);
  config.d_model = config.encoder_ffn_dim = config.decoder_ffn_dim = 16;
  config.encoder_layers = config.decoder_layers = 1;
  na::Cpu<float> cpu;
  const na::Marian<na::Cpu<float>, na::paper::marian_baseline> model(cpu, config);
  return model.parameters().count();
}
