// Values narrower or wider than keys: gradients in double, PyTorch's values, float and bfloat16 within bounds of
// double, the shapes that follow, a model that is saved and loaded, and what is refused. Other tests decode with such
// values (attention/test_sequence_projectors.cpp, decode/test_prompts.cpp), recompute them, run them on threads and in
// parts (models/test_options.cpp), and count them (models/test_matching.cpp).
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE attention_value_width
#include <boost/test/unit_test.hpp>
#include <map>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "attention/option_checks.hpp"
#include "models/model_gradients.hpp"
#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/nn/recompute.hpp"
#include "scratch.hpp"

using namespace option_checks;

namespace {

/// Networks as values and behind the heads.
using Bent = Projections<PlainNeural, Linear, Neural, PlainNeural>;
/// Halves of one map, and gates.
using Gates = Projections<Linear, GatedSilu, GluSilu, GatedSilu>;
/// A convolution of values, and factors of a product.
using Further = Projections<Linear, Linear, ConvLinear, LowRank>;
using Kinds = std::tuple<Kind<LinearProjections, false, false>, Kind<LinearProjections, false, true>,
                         Kind<LinearProjections, true, false>, Kind<Bent, false, false>, Kind<Bent, false, true>,
                         Kind<Bent, true, false>, Kind<Gates, false, true>, Kind<Gates, true, false>,
                         Kind<Further, false, true>, Kind<published::ceres, false, false>>;
/// Without kinks, near which a rounded number may fall to the other side.
using SmoothKinds =
    std::tuple<Kind<LinearProjections, false, false>, Kind<Gates, false, true>, Kind<Gates, true, false>>;

template <class P>
std::vector<std::string> key_shifts() {
  if (std::is_same_v<P, Gates>) return {"k_proj.output.bias"};
  if (std::is_same_v<P, published::ceres>) return {};
  return {"k_proj.bias"};
}

/// Values of some columns, alone and with the options that see them.
std::vector<NamedOptions> cases(const std::vector<int>& columns) {
  std::vector<NamedOptions> all;
  for (const int count : columns) {
    const auto add = [&](const std::string& name, AttentionOptions options) {
      options.value_width = count;
      all.push_back({name + " " + std::to_string(count), options});
    };
    add("alone", {});
    add("gate per head", {.gate = GateKind::PerHead});
    add("all", attention_option_cases().back().options);
  }
  return all;
}

/// As tests/reference/module_goldens.py has them.
std::vector<NamedOptions> golden_cases() {
  return {{"narrow", {.value_width = 4}},
          {"wide", {.qk_norm = QueryKeyNorm::Rms, .gate = GateKind::PerElement, .value_width = 10}},
          {"narrow_heads", {.qk_norm = QueryKeyNorm::L2, .gate = GateKind::PerHead, .value_width = 2}}};
}

golden::File& goldens() {
  static golden::File file("modules/value_widths.safetensors");
  return file;
}

/// All gradients of a model with three layers, of which the later ones take values of the first.
template <class Model>
void check_model(typename Model::Config config, const auto& batch, int columns, bool recompute) {
  typename Model::Backend backend(1);
  config.attention = value_residual_cases().back().options;
  config.attention.value_width = columns;
  config.gradient_checkpointing = recompute;
  Model model(backend, config, 1);
  const auto report = check_model_loss(backend, model, batch, 0.1, {});
  BOOST_TEST(report.ok(), report.text());
}

std::string message(auto&& act) {
  try {
    act();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

template <class P>
std::string refusal(int columns, AttentionUse use = AttentionUse::Causal) {
  LayerConfig config;
  config.attention = attention_config(6, 2, 0.0, {}, {}, {.value_width = columns});
  config.d_ff = 8;
  return message([&] {
    if (use == AttentionUse::Causal)
      LayerStack<B, CausalLayer<B, P>>(2, config);
    else
      LayerStack<B, DecoderLayer<B, P>>(2, config);
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gradients)

BOOST_AUTO_TEST_CASE_TEMPLATE(equal_numeric_ones, K, Kinds) {
  for (const auto& how : cases({2, 4, 10}))
    for (const double dropout : {0.0, 0.2}) {
      if (dropout > 0.0 && how.options.value_width != 4) continue;
      const auto module = K::template module<B>(how.options, 6, 2, dropout);
      check(how, module, module.rows(), 6, key_shifts<typename K::P>());
    }
}

BOOST_AUTO_TEST_CASE(equal_numeric_ones_where_activations_are_recomputed) {
  using Causal = Kind<Gates, false, true>;
  for (const auto& how : cases({4, 8})) {
    Recompute<B, Causal::Module<B>> module(Causal::module<B>(how.options, 6, 2, 0.2));
    check(how, std::move(module), 9, 6, key_shifts<Gates>());
  }
}

// Longer than a tile of the kernel.
BOOST_AUTO_TEST_CASE(equal_numeric_ones_in_several_tiles) {
  for (const int columns : {1, 3}) {
    const NamedOptions how{"tiles", {.value_width = columns}};
    AttentionModule<B, LinearProjections> module({{}, 2, 1, 0.1, how.options}, {3, 133}, {3, 133}, true);
    check(how, module, module.rows(), 2, {"k_proj.bias"});
  }
}

// With values of the first layer and all other options.
BOOST_AUTO_TEST_CASE(of_whole_models_equal_numeric_ones) {
  constexpr int layers = 3;
  const auto marian = tiny::config(layers, 4, 0.1);
  const auto pairs = tiny::batch(tiny::pairs(), 2);
  check_model<Marian<B, published::glu_attention>>(marian, pairs, 2, true);
  check_model<Marian<B, Bent>>(marian, pairs, 6, false);
  auto sequences = tiny::masked_sequences();
  sequences[2].ids[1] = 4;  // the row of padding has, by definition, no gradient from its lookups
  check_model<Roberta<B, published::ceres>>(tiny::roberta_config(layers, 0.1), tiny::masked_batch(sequences), 2, true);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(values_of_pytorch)

BOOST_AUTO_TEST_CASE(are_equal) {
  for (const auto& how : golden_cases()) {
    check_golden<published::glu_attention, false>(goldens(), how, "self");
    check_golden<Bent, false>(goldens(), how, "causal");
    check_golden<Projections<Linear, GatedSilu, GatedSilu, GluSilu>, true>(goldens(), how, "cross");
  }
  for (const auto& name : goldens().unused()) BOOST_ERROR(name << " was not used");
  BOOST_TEST(goldens().size() > 150u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(rounding)

BOOST_AUTO_TEST_CASE_TEMPLATE(stays_within_bounds_of_double, K, SmoothKinds) {
  for (const auto& how : cases({20, 48})) check_rounding<K>(how);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(shapes)

BOOST_AUTO_TEST_CASE(of_parameters_follow_the_width) {
  const auto shapes = [](const AttentionOptions& options) {
    B backend(1);
    auto module = Kind<published::glu_attention, false, false>::module<B>(options, 6, 2, 0.0);
    std::map<std::string, std::pair<int, int>> result;
    const ParameterStore<B> store(backend, module, neural_attention::Purpose::Inference);
    for (const auto& entry : store.entries()) result[entry.name] = {entry.rows, entry.cols};
    return result;
  };
  auto expected = shapes({.gate = GateKind::PerElement});
  expected["v_proj.map.weight"] = {8, 6};
  expected["v_proj.map.bias"] = {1, 8};
  expected["out_proj.weight"] = {6, 4};
  expected["gate_proj.weight"] = {4, 6};
  BOOST_TEST((shapes({.gate = GateKind::PerElement, .value_width = 4}) == expected));
}

// The width of the keys is what is usual; bits stay.
BOOST_AUTO_TEST_CASE(of_the_usual_width_change_nothing) {
  using K = Kind<Bent, false, true>;
  Cpu<float> backend(1);
  const auto run = [&](int columns) {
    return run_on(backend, K::module<Cpu<float>>({.value_width = columns}, 8, 2, 0.0), 8);
  };
  const auto usual = run(0), said = run(8);
  BOOST_TEST((said.y == usual.y && said.dx == usual.dx && said.gradients == usual.gradients));
}

BOOST_AUTO_TEST_CASE(are_those_of_a_model_that_is_loaded) {
  using Model = Marian<Cpu<float>, published::glu_attention>;
  const Scratch folder;
  Cpu<float> backend(1);
  auto config = tiny::config(3, 12);
  config.attention = value_residual_cases().back().options;
  config.attention.value_width = 8;
  const Model model(backend, config, 5);
  io::save_model(folder.path.string(), backend, model);
  const auto again = io::load_marian_config(folder.file("config.json"));
  BOOST_TEST((again.attention == config.attention));
  Model loaded(backend, again, std::nullopt, Purpose::Inference);
  io::load_model(folder.path.string(), backend, loaded);
  BOOST_TEST((tiny::values(backend, loaded.parameters()) == tiny::values(backend, model.parameters())));
  config.attention.value_width = 10;
  Model other(backend, config, 5);
  BOOST_CHECK_EXCEPTION(io::load_model(folder.path.string(), backend, other), FileError, [](const FileError& error) {
    const std::string what = error.what();
    return what.find("v_proj.map") != std::string::npos || what.find("out_proj.weight") != std::string::npos ||
           what.find("gate_proj.weight") != std::string::npos;
  });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(bad_input)

BOOST_AUTO_TEST_CASE(is_refused_with_layer_and_role) {
  BOOST_TEST(refusal<LinearProjections>(4) == "accepted");
  BOOST_TEST(refusal<LinearProjections>(5) ==
             "decoder layer 0: attention_value_width 5 cannot be split into 2 attention heads");
  BOOST_TEST(refusal<LinearProjections>(-2) ==
             "decoder layer 0: attention_value_width -2 cannot be split into 2 attention heads");
  using Kept = Projections<Linear, Linear, Identity, Linear>;
  BOOST_TEST(refusal<Kept>(6) == "accepted");
  BOOST_TEST(refusal<Kept>(4) ==
             "decoder layer 0: the value of causal self-attention: an identity cannot map a width of 6 to one of 4");
  using Beside = Projections<NonlinearQuery, Linear, Linear, NonlinearQuery>;
  BOOST_TEST(refusal<Beside>(8) ==
             "decoder layer 0: the output of causal self-attention: an identity cannot map a width of 8 to one of 6");
  using Square = Projections<NonlinearQuery, Identity, Linear, Linear>;
  BOOST_TEST(refusal<Square>(4, AttentionUse::Cross) == "accepted");
  const auto huge = refusal<published::glu_attention>(2'000'000'000);
  BOOST_TEST(huge.starts_with("decoder layer 0: the value of causal self-attention: a gated map to a width of "), huge);
}

BOOST_AUTO_TEST_CASE(is_refused_by_configs_with_the_number_of_heads) {
  const auto marian = [](int columns, int encoder_heads, int decoder_heads) {
    auto config = tiny::config(1, 12);
    config.encoder_attention_heads = encoder_heads;
    config.decoder_attention_heads = decoder_heads;
    config.attention.value_width = columns;
    return message([&] { config.validate(); });
  };
  BOOST_TEST(marian(8, 2, 4) == "accepted");
  BOOST_TEST(marian(8, 3, 4) ==
             "an attention_value_width of 8 cannot be split into 3 attention heads (encoder_attention_heads)");
  BOOST_TEST(marian(8, 2, 6) ==
             "an attention_value_width of 8 cannot be split into 6 attention heads (decoder_attention_heads)");
  BOOST_TEST(marian(-4, 2, 2) == "attention_value_width must be at least 0, not -4");
  auto roberta = tiny::roberta_config(1);
  roberta.attention.value_width = 3;
  BOOST_TEST(message([&] { roberta.validate(); }) ==
             "an attention_value_width of 3 cannot be split into 2 attention heads (num_attention_heads)");
}

// Layers of a stack that differ in it share no values.
BOOST_AUTO_TEST_CASE(is_refused_where_values_of_the_first_layer_are_taken) {
  std::vector<LayerConfig> configs(2);
  for (int i = 0; i < 2; ++i) {
    auto& config = configs[static_cast<std::size_t>(i)];
    config.attention =
        attention_config(6, 2, 0.0, {}, {}, {.value_residual = ValueResidualKind::Learned, .value_width = 4 - 2 * i});
    config.d_ff = 8;
  }
  const auto made = [&] { return message([&] { LayerStack<B, CausalLayer<B, LinearProjections>>{configs}; }); };
  BOOST_TEST(made() ==
             "decoder layer 1: its values are 2 wide, but it adds values of the first layer, which are 4 wide");
  configs[1].attention.options.value_residual = ValueResidualKind::None;
  BOOST_TEST(made() == "accepted");
}

BOOST_AUTO_TEST_SUITE_END()
