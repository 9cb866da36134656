// Stacks of layers: what a decoder makes of a sequence token by token is what it makes of it at once, with post-norm
// and pre-norm sublayers; and pre-norm layers have the norms, and the norm behind the last layer, of their formula.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_layers
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/models/layers.hpp"
#include "neural_attention/testing/check_gradients.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;
using B = Cpu<double>;

namespace {

constexpr int width = 6, layers = 3;

LayerConfig layer_config(NormPlace place) {
  LayerConfig config;
  config.attention = attention_config(width, 2, 0.0, {}, {});
  config.d_ff = 8;
  config.norm_place = place;
  return config;
}

/// Decodes the rows of x [sequences · length, width], sequences of one length, and compares with y, the same at once.
template <class Stack>
void check_decoding(const Stack& stack, const Pass<B>& pass, Rows<B> x, Rows<B> y, const DecodingStart<B>& start) {
  const int length = x.rows / start.rows;
  auto caches = stack.begin_decoding(pass, start);
  BOOST_TEST(caches.of.size() == std::size_t{layers});
  double largest = 0.0;
  const Ragged ones(std::vector<int>(static_cast<std::size_t>(start.rows), 1));
  for (int t = 0; t < length; ++t) {
    const auto newest = pass.saved.rows(start.rows, width);
    for (int s = 0; s < start.rows; ++s)
      pass.backend(ops::Copy<B>{.x = x.slice(s * length + t, 1), .y = newest.slice(s, 1)});
    const auto found = download(pass.backend, stack.decode(pass, newest, caches, ones));
    for (int s = 0; s < start.rows; ++s) {
      const auto expected = download(pass.backend, y.slice(s * length + t, 1));
      for (int c = 0; c < width; ++c)
        largest = std::max(
            largest, std::abs(found[static_cast<std::size_t>(s * width + c)] - expected[static_cast<std::size_t>(c)]));
    }
  }
  BOOST_TEST(largest <= 1e-13);
}

template <class Layer>
LayerStack<B, Layer> random_stack(B& backend, NormPlace place, std::optional<ParameterStore<B>>& store) {
  LayerStack<B, Layer> stack(layers, layer_config(place), false);
  store.emplace(backend, stack, Purpose::Training);
  testing::randomise(backend, *store, 5);
  return stack;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(decoding)

BOOST_AUTO_TEST_CASE(of_causal_layers_equals_forward) {
  for (const auto place : {NormPlace::Post, NormPlace::Pre}) {
    B backend(1);
    std::optional<ParameterStore<B>> store;
    using Stack = LayerStack<B, CausalLayer<B, LinearProjections>>;
    const Stack stack = random_stack<CausalLayer<B, LinearProjections>>(backend, place, store);
    PassMemory<B> memory(backend);
    const auto pass = memory.begin_training();
    const Ragged sequences(std::vector{5, 5});
    const OwnedRows<B> x(backend, 10, width, random_normal(5, 1, 10 * width));
    Stack::Saved saved;
    check_decoding(stack, pass, x.rows, stack.forward(pass, x.rows, saved, sequences), {2, 2, 5, sequences, {}});
  }
}

BOOST_AUTO_TEST_CASE(of_decoder_layers_equals_forward) {
  for (const auto place : {NormPlace::Post, NormPlace::Pre}) {
    B backend(1);
    std::optional<ParameterStore<B>> store;
    using Stack = LayerStack<B, DecoderLayer<B, LinearProjections>>;
    const Stack stack = random_stack<DecoderLayer<B, LinearProjections>>(backend, place, store);
    PassMemory<B> memory(backend);
    const auto pass = memory.begin_training();
    const Ragged targets(std::vector{4, 4}), sources(std::vector{3, 7});
    const OwnedRows<B> x(backend, 8, width, random_normal(5, 1, 8 * width));
    const OwnedRows<B> source(backend, 10, width, random_normal(5, 2, 10 * width));
    Stack::Saved saved;
    const auto y = stack.forward(pass, x.rows, saved, DecoderContext<B>{targets, sources, source.rows, {}});
    check_decoding(stack, pass, x.rows, y, {2, 2, 4, sources, source.rows});
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(names)

template <class Names>
std::set<std::string> names_of(NormPlace place) {
  std::set<std::string> names;
  LayerStack<B, EncoderLayer<B, LinearProjections, Names>, Names> stack(1, layer_config(place));
  for_each_leaf(stack, [&](const std::string& name, Parameter<B>&) {
    if (name.find("orm.") != std::string::npos && name.ends_with("weight")) names.insert(name);
  });
  return names;
}

BOOST_AUTO_TEST_CASE(of_norms_are_those_of_hugging_face) {
  using Set = std::set<std::string>;
  const Set bart = {"layers.0.self_attn_layer_norm.weight", "layers.0.final_layer_norm.weight"};
  auto pegasus = bart;
  pegasus.insert("layer_norm.weight");
  BOOST_TEST((names_of<BartNames>(NormPlace::Post) == bart));
  BOOST_TEST((names_of<BartNames>(NormPlace::Pre) == pegasus));
  BOOST_TEST((names_of<BertNames>(NormPlace::Post) ==
              Set{"encoder.layer.0.attention.output.LayerNorm.weight", "encoder.layer.0.output.LayerNorm.weight"}));
  BOOST_TEST((names_of<BertNames>(NormPlace::Pre) == Set{"encoder.layer.0.attention.LayerNorm.weight",
                                                         "encoder.layer.0.intermediate.LayerNorm.weight",
                                                         "LayerNorm.weight"}));
}

BOOST_AUTO_TEST_SUITE_END()
