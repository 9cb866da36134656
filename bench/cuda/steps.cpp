// steps [--quick]: whole training steps of the paper's models on the device, with random tokens: forward, backward,
// clipping, AdamW, dropout as the models have it. The operations counted are those of step_flops.hpp, as a part of a
// large product of matrices by cuBLASLt: the utilisation of the device by the model.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include "measuring.hpp"
#include "neural_attention/cuda.hpp"
#include "neural_attention/neural_attention.hpp"
#include "random_batches.hpp"
#include "step_flops.hpp"

namespace {

namespace na = neural_attention;
namespace device = bench::device;

/// A line of the table: the mean of `steps` steps, after some that are not counted.
template <class Model, class Config, class Batch>
void measure(const char* work, const char* numbers, const Config& config, Batch batch, double product_tflops,
             int steps) {
  using B = typename Model::Backend;
  B backend;
  device::Stopwatch<B> watch(backend, {});
  Model model(backend, config);
  const auto flops = bench::step_flops(backend, model, batch);
  na::TrainingStep<Model> step(backend, model, {.label_smoothing = 0.1}, {});
  double loss = 0.0;
  const auto run = [&](int count) {
    for (int i = 0; i < count; ++i) loss = step.run(std::span(&batch, 1)).loss.smoothed;
    watch.wait();
  };
  run((steps + 2) / 3);
  const auto start = std::chrono::steady_clock::now();
  run(steps);
  const double seconds = bench::seconds_since(start) / steps;
  const double all = flops.weights + flops.attention;
  const auto tokens = batch.counted_tokens();
  std::printf("| %s | %s | %ld | %.1f | %.0f | %.4g | %.4g | %.0f%% | %.2f | %.4f |\n", work, numbers,
              static_cast<long>(tokens), 1e3 * seconds, double(tokens) / seconds, flops.weights / seconds / 1e12,
              all / seconds / 1e12, 100.0 * all / seconds / 1e12 / product_tflops,
              double(step.memory().capacity()) / double(1 << 30), loss / double(batch.labels.size()));
  std::fflush(stdout);
}

template <class B>
void measure_all(const char* numbers, bool quick) {
  double product_tflops = 0.0;
  {
    B backend;
    product_tflops = device::Stopwatch<B>(backend, quick ? device::quick : device::Effort{}).product_tflops();
  }
  const int steps = quick ? 1 : 20;
  auto marian = quick ? na::marian_small(97) : na::marian_base(58101);
  auto roberta = quick ? na::roberta_small(97) : na::roberta_base();
  if (quick) {
    marian.encoder_layers = marian.decoder_layers = roberta.num_hidden_layers = 1;
    marian.d_model = marian.encoder_ffn_dim = marian.decoder_ffn_dim = 32;
    roberta.hidden_size = roberta.intermediate_size = 32;
  }
  const auto pairs = bench::random_pairs(quick ? 8 : 16384, marian.vocab_size, bench::speech_length);
  const auto blocks = quick ? bench::random_blocks(1, 16, roberta) : bench::random_blocks(64, 512, roberta);
  using Linear = na::LinearProjections;
  measure<na::Marian<B, Linear>>("Marian-base, linear", numbers, marian, pairs, product_tflops, steps);
  measure<na::Marian<B, na::paper::marian>>("Marian-base, neural", numbers, marian, pairs, product_tflops, steps);
  measure<na::Roberta<B, Linear>>("RoBERTa-base, linear", numbers, roberta, blocks, product_tflops, steps);
  measure<na::Roberta<B, na::paper::roberta>>("RoBERTa-base, plain neural", numbers, roberta, blocks, product_tflops,
                                              steps);
}

}  // namespace

int main(int count, char** arguments) {
  const bool quick = count == 2 && std::strcmp(arguments[1], "--quick") == 0;
  if (count > 1 && !quick) {
    std::fprintf(stderr, "usage: steps [--quick]\n");
    return 2;
  }
  try {
    std::printf("%s\n\n", na::Cuda<float>().engine().c_str());
    std::printf(
        "| training step | numbers | tokens | ms | tokens/s | TFLOP/s of weights | and attention | of a large product "
        "| GiB of activations | last loss |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    measure_all<na::Cuda<na::bfloat16>>("bfloat16", quick);
    measure_all<na::Cuda<float>>("float", quick);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
