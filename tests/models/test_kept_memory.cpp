// How much forward keeps for backward: what backward can compute again for little, such as the results of activations
// and of norms inside projectors, takes no memory, and sums lie in the place of their summands.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_kept_memory
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <vector>

#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/models/paper.hpp"

using namespace neural_attention;

namespace {

constexpr int width = 32, heads = 4, encoder_inner = 64, decoder_inner = 96, layers = 2;

MarianConfig config(bool checkpointing) {
  auto config = tiny::config(layers, width, 0.1);
  config.encoder_attention_heads = config.decoder_attention_heads = heads;
  config.encoder_ffn_dim = encoder_inner;
  config.decoder_ffn_dim = decoder_inner;
  config.gradient_checkpointing = checkpointing;
  return config;
}

/// 32 tokens of source and 48 of target, so that each matrix fills whole cache lines.
TranslationBatch batch() {
  TranslationBatch result(8);
  for (int i = 0; i < 4; ++i) result.push(std::vector<int>(8, 1 + i), std::vector<int>(12, 2 + i));
  return result;
}

/// The numbers that forward leaves on the saved stack in training.
std::size_t kept(bool checkpointing) {
  Cpu<float> backend(1);
  paper::Marian model(backend, config(checkpointing), 3);
  PassMemory<Cpu<float>> memory(backend);
  const auto pass = memory.begin_training();
  paper::Marian::Saved saved;
  model.body().forward(pass, batch(), saved.body);
  BOOST_TEST(pass.scratch.mark().used == 0u);
  BOOST_REQUIRE(pass.saved.mark().block == 0u);
  return pass.saved.mark().used / sizeof(float);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(of_a_training_step)

BOOST_AUTO_TEST_CASE(of_a_layer) {
  // Query, key and output keep both maps' results, of which the last is the residual sum; then come the value, the
  // context, log-sum-exps, and means and deviations of the norm. The norms of a stack share the rows of their results.
  constexpr int projector = 3 * width, norm = 2;
  constexpr int keys = projector + width, queries = 2 * projector + width + heads, attention = queries + norm;
  constexpr int feed_forward = width + norm;
  constexpr int source = 2 * width + layers * (attention + keys + encoder_inner + feed_forward) + layers * keys;
  constexpr int target = 2 * width + layers * (2 * attention + keys + decoder_inner + feed_forward);
  BOOST_TEST(kept(false) == 32u * source + 48u * target);
}

BOOST_AUTO_TEST_CASE(with_checkpointing_only_the_inputs_of_layers) {
  BOOST_TEST(kept(true) == (32u + 48u) * width * (1u + layers));
}

BOOST_AUTO_TEST_SUITE_END()
