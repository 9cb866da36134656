// Value residuals: layers that take values of the first one. Gradients of three layers in double, where each layer adds
// to the first one's; which layers take values, and the names of their factors; factors that change nothing; and what
// is refused. Other tests compare them with PyTorch (models/test_*_goldens.cpp), recompute them, run them on threads
// and in parts (models/test_options.cpp), decode (decode/test_prompts.cpp, attention/test_sequence_projectors.cpp).
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_value_residual
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "attention/attention_option_cases.hpp"
#include "models/model_gradients.hpp"
#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/testing/poisoned.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;

namespace {

constexpr int layers = 3;
const AttentionOptions learned{.value_residual = ValueResidualKind::Learned};
const AttentionOptions fixed{
    .value_residual = ValueResidualKind::Fixed, .value_residual_own = 1.0, .value_residual_first = 2.0};

using ConvValues = Projections<Linear, Linear, ConvLinear, Linear>;
using GatedValues = Projections<Linear, Linear, GatedSilu, Linear>;

/// All gradients of a model's loss; `zero` names those of key biases.
template <class Model>
void check_gradients(typename Model::Config config, const auto& batch, const AttentionOptions& options, bool recompute,
                     std::vector<std::string> zero) {
  using B = typename Model::Backend;
  B backend(1);
  config.attention = options;
  config.gradient_checkpointing = recompute;
  Model model(backend, config, 1);
  constexpr double smoothing = 0.1;
  GradientOptions how;
  how.zero = std::move(zero);
  const auto report = check_model_loss(backend, model, batch, smoothing, how);
  BOOST_TEST(report.ok(), report.text());
  const auto factors = std::count_if(report.tensors.begin(), report.tensors.end(), [](const auto& tensor) {
    return tensor.name.find("value_residual") != std::string::npos;
  });
  const int stacks = std::is_same_v<typename Model::Config, MarianConfig> ? 2 : 1;
  BOOST_TEST(factors == (options.value_residual == ValueResidualKind::Learned ? 2 * (layers - 1) * stacks : 0));
}

template <class P>
void check_marian(const AttentionOptions& options, bool recompute, std::vector<std::string> zero) {
  // The decoder starts with a usual token: the row of padding has, by definition, no gradient from its lookups.
  check_gradients<Marian<Poisoned<Cpu<double>>, P>>(tiny::config(layers, 4, 0.1), tiny::batch(tiny::pairs(), 2),
                                                    options, recompute, std::move(zero));
}

template <class P>
void check_roberta(const AttentionOptions& options, bool recompute, std::vector<std::string> zero) {
  auto sequences = tiny::masked_sequences();
  sequences[2].ids[1] = 4;  // the row of padding likewise
  check_gradients<Roberta<Poisoned<Cpu<double>>, P>>(tiny::roberta_config(layers, 0.1), tiny::masked_batch(sequences),
                                                     options, recompute, std::move(zero));
}

LayerConfig layer_config(const AttentionOptions& options) {
  LayerConfig config;
  config.attention = attention_config(6, 2, 0.0, {}, {}, options);
  config.d_ff = 8;
  return config;
}

using B = Cpu<double>;

template <class Layer>
std::set<std::string> factors_of(const LayerStack<B, Layer>& stack) {
  std::set<std::string> names;
  for_each_leaf(stack, [&](const std::string& name, const Parameter<B>& tensor) {
    if (name.find("value_residual") == std::string::npos) return;
    BOOST_TEST((tensor.vector && tensor.cols == 1));
    names.insert(name);
  });
  return names;
}

/// What causal layers make of some rows, and the gradient of these.
struct Outcome {
  std::vector<double> y, dx;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(const std::vector<LayerConfig>& configs) {
  B backend(1);
  LayerStack<B, CausalLayer<B, LinearProjections>> stack(configs);
  ParameterStore<B> store(backend, stack, Purpose::Training);
  store.initialise(5);
  PassMemory<B> memory(backend);
  const auto pass = memory.begin_training();
  const Ragged sequences(std::vector{4, 1, 3});
  const OwnedRows<B> x(backend, 8, 6, random_normal(5, 1, 8 * 6)), dy(backend, 8, 6, random_normal(5, 2, 8 * 6));
  typename decltype(stack)::Saved saved;
  auto y = download(backend, stack.forward(pass, x.rows, saved, sequences));
  return {std::move(y), download(backend, stack.backward(pass, pass.scratch.mark(), dy.rows, saved, sequences))};
}

std::string message(auto&& act) {
  try {
    act();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gradients)

BOOST_AUTO_TEST_CASE(of_three_layers_and_three) {
  for (const bool recompute : {false, true}) check_marian<LinearProjections>(learned, recompute, {"*k_proj.bias"});
  check_marian<GatedValues>(fixed, true, {"*k_proj.bias"});
}

BOOST_AUTO_TEST_CASE(of_an_encoder) {
  check_roberta<neural_attention::paper::roberta>(learned, true, {"*self.key.2.bias"});
  check_roberta<neural_attention::published::ceres>(learned, false, {});
}

BOOST_AUTO_TEST_CASE(with_all_other_options_and_values_that_see_sequences) {
  check_marian<ConvValues>(value_residual_cases().back().options, true, {});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(layers_that_take_values)

BOOST_AUTO_TEST_CASE(are_all_but_the_first_and_no_attention_to_an_encoder) {
  using Names = std::set<std::string>;
  const Names expected = {"layers.1.self_attn.value_residual.own", "layers.1.self_attn.value_residual.first",
                          "layers.2.self_attn.value_residual.own", "layers.2.self_attn.value_residual.first"};
  using Encoder = LayerStack<B, EncoderLayer<B, LinearProjections>>;
  using Decoder = LayerStack<B, DecoderLayer<B, LinearProjections>>;
  BOOST_TEST(factors_of(Encoder(layers, layer_config(learned), false)) == expected, boost::test_tools::per_element());
  BOOST_TEST(factors_of(Decoder(layers, layer_config(learned), false)) == expected, boost::test_tools::per_element());
  BOOST_TEST(factors_of(Decoder(layers, layer_config(fixed), false)).empty());
  BOOST_TEST(factors_of(Decoder(layers, layer_config({}), false)).empty());
}

// As in the source's sparse form.
BOOST_AUTO_TEST_CASE(may_be_single_ones) {
  const auto with = layer_config(learned), without = layer_config({});
  const LayerStack<B, CausalLayer<B, LinearProjections>> stack({without, without, with});
  BOOST_TEST(factors_of(stack) == (std::set<std::string>{"layers.2.self_attn.value_residual.own",
                                                         "layers.2.self_attn.value_residual.first"}),
             boost::test_tools::per_element());
  const auto none = outcome_of({without, without, without}), last = outcome_of({without, without, with});
  BOOST_TEST(last.y != none.y);
  BOOST_TEST((last != outcome_of({without, with, with})));
  BOOST_TEST((last == outcome_of({with, without, with})));  // nothing comes before the first
}

BOOST_AUTO_TEST_CASE(change_nothing_with_their_own_values_alone) {
  auto own = fixed;
  own.value_residual_first = 0.0;
  const auto none = outcome_of(std::vector(layers, layer_config({})));
  BOOST_TEST((outcome_of(std::vector(layers, layer_config(own))) == none));
  own.value_residual = ValueResidualKind::Learned;
  BOOST_TEST((outcome_of(std::vector(layers, layer_config(own))) == none));
}

BOOST_AUTO_TEST_CASE(compute_the_same_with_factors_that_are_fixed_and_learned) {
  auto begun = fixed;
  begun.value_residual = ValueResidualKind::Learned;
  BOOST_TEST(
      (outcome_of(std::vector(layers, layer_config(begun))) == outcome_of(std::vector(layers, layer_config(fixed)))));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(configs)

BOOST_AUTO_TEST_CASE(that_have_no_use_are_refused) {
  const auto marian = [](int encoder, int decoder, const AttentionOptions& options) {
    auto config = tiny::config();
    config.encoder_layers = encoder;
    config.decoder_layers = decoder;
    config.attention = options;
    return message([&] { config.validate(); });
  };
  const std::string no_second = ", but the model has no second layer that could take the values of the first";
  BOOST_TEST(marian(1, 1, learned) == "value_residual is learned" + no_second);
  BOOST_TEST(marian(1, 1, fixed) == "value_residual is fixed" + no_second);
  BOOST_TEST(marian(6, 1, learned) == "accepted");
  BOOST_TEST(marian(1, 2, learned) == "accepted");
  auto config = tiny::roberta_config(1);
  config.attention = learned;
  BOOST_TEST(message([&] { config.validate(); }) == "value_residual is learned" + no_second);
  BOOST_TEST(marian(2, 2, {.value_residual_first = 2.5}) ==
             "value_residual_first is 2.5, but value_residual is none, so nothing is multiplied by it");
  auto infinite = learned;
  infinite.value_residual_own = INFINITY;
  BOOST_TEST(marian(2, 2, infinite) == "value_residual_own must be finite, not inf");
}

BOOST_AUTO_TEST_SUITE_END()
