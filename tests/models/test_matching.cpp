// Sizes of models and widths that make two of them equally large: numbers computed by hand, FLOPs that a profile of a
// forward pass counts, and random arms, in which no neighbouring width comes nearer.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_matching
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/models/matching.hpp"
#include "neural_attention/report/profile.hpp"

using namespace neural_attention;
using B = Cpu<float>;
using LinearMarian = Marian<B, LinearProjections>;
using PaperMarian = Marian<B, paper::marian>;
using AnyMarian = Marian<B, AnyProjections>;
using LinearRoberta = Roberta<B, LinearProjections>;
using AnyRoberta = Roberta<B, AnyProjections>;

namespace {

/// The FLOPs of the products of a forward pass, as operations count them.
template <class Model>
double measured_flops(const typename Model::Config& config, const typename Model::Batch& batch) {
  B backend(1);
  const Model model(backend, config, 1);
  PassMemory<B> memory(backend);
  typename Model::Saved saved;
  const report::Profile profile(0);
  model.loss(memory.begin_inference(), batch, 0.0, saved);
  double flops = 0.0;
  for (const auto& row : profile.rows()) flops += row.flop;
  return flops;
}

void set_types(auto& config, const std::vector<std::string>& types) {
  std::size_t i = 0;
  for_each_role([&](const char*, ProjectorConfig& projector) { projector.type = types.at(i++); }, config);
}

/// A sequence of n tokens.
std::vector<int> ids(int n, int first) {
  std::vector<int> result(static_cast<std::size_t>(n));
  std::iota(result.begin(), result.end(), 0);
  for (auto& id : result) id = first + id % 5;
  return result;
}

std::string refusal(auto&& match) {
  try {
    match();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "matched";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sizes_of_models)

BOOST_AUTO_TEST_CASE(are_those_computed_by_hand) {
  const auto config = tiny::config(2, 4);  // d_ff 5 and 6, vocabulary 9
  const auto size = model_size<LinearMarian>(config, {.tokens = 3, .source = 7});
  constexpr std::int64_t d = 4, attention = 4 * (d * d + d), norm = 2 * d;
  BOOST_TEST(size.parameters == 9 * d + 2 * (attention + 2 * norm + 2 * d * 5 + 5 + d) +
                                    2 * (2 * attention + 3 * norm + 2 * d * 6 + 6 + d));
  constexpr std::int64_t encoder = 2 * 7 * (4 * d * d + 2 * d * 5) + 4 * 7 * 7 * d;
  constexpr std::int64_t decoder = 2 * 3 * (6 * d * d + 2 * d * 6) + 2 * 7 * 2 * d * d + 4 * (3 * 4 / 2 + 3 * 7) * d;
  BOOST_TEST(size.flops == 2 * (encoder + decoder) + 2 * 3 * 9 * d);

  const auto roberta = tiny::roberta_config(3);  // d 4, d_ff 6, vocabulary 9
  const auto masked = model_size<LinearRoberta>(roberta, {.tokens = 6, .predicted = 2});
  BOOST_TEST(masked.flops == 3 * (2 * 6 * (4 * d * d + 2 * d * 6) + 4 * 6 * 6 * d) + 2 * 2 * (d * d + 9 * d));
}

// In programs a Choice holds the projectors; the model is the same.
BOOST_AUTO_TEST_CASE(do_not_depend_on_who_chose_the_projectors) {
  auto config = marian_base(32'000);
  const auto paper = model_size<PaperMarian>(config);
  set_types(config, {"neural", "neural", "linear", "neural"});
  const auto any = model_size<AnyMarian>(config);
  BOOST_TEST(any.parameters == paper.parameters);
  BOOST_TEST(any.flops == paper.flops);
  BOOST_TEST(paper.parameters > model_size<LinearMarian>(config).parameters);
}

BOOST_AUTO_TEST_CASE(are_what_a_forward_pass_does) {
  const std::vector<std::vector<std::string>> of_marian = {{"neural", "gated_silu", "residual", "low_rank"},
                                                           {"nonlinear_query", "identity", "pattention", "linear"}};
  for (const auto& types : of_marian)
    for (const auto gate : {GateKind::None, GateKind::PerHead, GateKind::PerElement}) {
      auto config = tiny::config(2, 8);
      config.attention.gate = gate;
      config.attention.qk_norm = QueryKeyNorm::Rms;
      set_types(config, types);
      if (types[1] == "gated_silu" && gate != GateKind::None) config.attention.value_width = 6;
      set_layer_projectors(config, "value", "encoder:0=linear,encoder:1=neural,decoder=plain_neural,cross=deep_linear");
      TranslationBatch batch(8);
      batch.push(ids(7, 1), ids(4, 2));
      BOOST_TEST(double(model_size<AnyMarian>(config, {.tokens = 4, .source = 7}).flops) ==
                 measured_flops<AnyMarian>(config, batch));
    }
  auto config = tiny::roberta_config(2);
  set_types(config, {"joint_qkv", "joint_qkv", "joint_qkv", "plain_neural"});
  MaskedBatch batch(1);
  batch.push(ids(6, 3), std::vector{1, 4}, std::vector{5, 6});
  for (const int value_width : {0, 6}) {
    config.attention.value_width = value_width;
    BOOST_TEST(double(model_size<AnyRoberta>(config, {.tokens = 6, .predicted = 2}).flops) ==
               measured_flops<AnyRoberta>(config, batch));
  }
  config.attention.value_width = 0;
  // A profile counts products alone; a convolution has another multiplication and addition for each tap.
  const double linear = double(model_size<LinearRoberta>(config, {.tokens = 6}).flops);
  set_types(config, {"conv_linear", "linear", "linear", "linear"});
  BOOST_TEST(double(model_size<AnyRoberta>(config, {.tokens = 6}).flops) == linear + 2 * 2 * 6 * 3 * 4);
}

BOOST_AUTO_TEST_CASE(of_examples_that_cannot_be_are_refused) {
  const auto refused = [](const ExampleTokens& example) {
    return refusal([&] { model_size<LinearMarian>(tiny::config(), example); });
  };
  BOOST_TEST(refused({.tokens = 0}) == "an example must have at least one token, not 0");
  BOOST_TEST(refused({.source = -1}) == "the source of an example must have at least one token, not -1");
  BOOST_TEST(refused({.tokens = 4, .predicted = 5}) == "an example of 4 tokens cannot predict 5 of them");
  auto config = tiny::config();
  config.d_model = 5;
  BOOST_TEST(refusal([&] { model_size<LinearMarian>(config); }).find("cannot be split into 2 attention heads") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(matching)

// The control of the paper's Marian: stock attention, and the parameters in the feed-forward networks.
BOOST_AUTO_TEST_CASE(gives_a_linear_marian_the_parameters_of_the_papers) {
  const auto config = marian_base(32'000);
  const auto match = match_size<LinearMarian, PaperMarian>(config, config, by_feed_forward_width);
  constexpr double d = 512, attentions = 18, layers = 12;
  const double neural = 2 * d * 2 * d + 2 * d + 4 * d + d, linear = d * d + d;
  const double more = attentions * 3 * (neural - linear) / (layers * (2 * d + 1));
  BOOST_TEST(match.width == 2048 + std::lround(more));
  BOOST_TEST(match.config.encoder_ffn_dim == match.width);
  BOOST_TEST(match.config.decoder_ffn_dim == match.width);
  BOOST_TEST(match.rest() == match.arm.parameters - match.other.parameters);
  BOOST_TEST(std::abs(double(match.rest())) <= layers * (2 * d + 1) / 2);
  BOOST_TEST(match.arm.parameters == model_size<LinearMarian>(match.config).parameters);
  BOOST_TEST(match.other.parameters == model_size<PaperMarian>(config).parameters);
  BOOST_TEST(match.text().starts_with("feed-forward width " + with_commas(match.width) + "\nparameters: "));
}

BOOST_AUTO_TEST_CASE(gives_a_linear_roberta_the_flops_of_the_papers) {
  const auto config = roberta_base();
  auto papers = config;
  set_types(papers, {"plain_neural", "plain_neural", "plain_neural", "linear"});
  const MatchOptions options{.matched = Matched::Flops, .example = {.tokens = 128, .predicted = 19}};
  const auto match = match_size<LinearRoberta, AnyRoberta>(config, papers, by_feed_forward_width, options);
  // 3 projectors of 4 d² instead of d²: 9 d² are 4.5 d columns of two matrices.
  BOOST_TEST(match.width == 3072 + 9 * 768 / 2);
  BOOST_TEST(match.rest() == 0);
  BOOST_TEST(match.relative_rest() == 0.0);
  BOOST_TEST(match.text().find(", as many, in 128 tokens, 19 of them predicted\n") != std::string::npos, match.text());
}

// The bottleneck of arXiv 2603.13381: d/2 columns have the elements of a matrix. The two norms and the missing biases
// leave 255 and 256 equally far from the parameters.
BOOST_AUTO_TEST_CASE(finds_half_the_width_for_a_nonlinear_query) {
  using Bent = Marian<B, published::karbevski2026_query>;
  const auto config = marian_base(100);
  const auto flops = match_size<Bent, LinearMarian>(config, config, by_hidden_width, {.matched = Matched::Flops});
  BOOST_TEST(flops.width == 256);
  BOOST_TEST(flops.rest() == 0);
  const auto parameters = match_size<Bent, LinearMarian>(config, config, by_hidden_width);
  BOOST_TEST(parameters.width == 255);
  BOOST_TEST(parameters.rest() == -18 * 512);
  BOOST_TEST((parameters.config.query.hidden == HiddenWidth::columns(255)));
  BOOST_TEST((match_size<Bent>(flops.config, flops.config, by_hidden_width).width == 256));
  const auto even = match_size<Bent, LinearMarian>(config, config, by_hidden_width, {.multiple_of = 64});
  BOOST_TEST(even.width == 256);
}

// arXiv 2507.00022: with values of two thirds of the width, gated ones need no further elements.
BOOST_AUTO_TEST_CASE(finds_two_thirds_of_the_width_for_gated_values) {
  using Gated = Marian<B, published::glu_attention>;
  auto config = marian_base(100);
  config.d_model = 768;
  const auto match = match_size<Gated, LinearMarian>(config, config, by_value_width, {.multiple_of = 8});
  BOOST_TEST(match.width == 512);
  BOOST_TEST(match.rest() == 18 * (2 * 512 - 768));  // the biases
  BOOST_TEST(match.relative_rest() < 1e-4);
  const auto flops = match_size<Gated, LinearMarian>(match.config, config, by_feed_forward_width,
                                                     {.matched = Matched::Flops, .example = {.tokens = 128}});
  BOOST_TEST(flops.width > 2048);  // narrow values save products of the probabilities
  BOOST_TEST(refusal([&] { match_size<Gated, LinearMarian>(config, config, by_value_width); }) ==
             "an attention_value_width of 1 cannot be split into 8 attention heads (encoder_attention_heads)");
}

BOOST_AUTO_TEST_CASE(takes_a_width_of_your_own) {
  auto config = marian_small(1000), other = config;
  other.decoder_ffn_dim = 700;
  const auto only_encoder = [](MarianConfig& of, int width) { of.encoder_ffn_dim = width; };
  const auto match = match_size<LinearMarian>(config, other, only_encoder);
  BOOST_TEST(match.width == 700);
  BOOST_TEST(match.config.decoder_ffn_dim == 512);
  BOOST_TEST(match.rest() == 0);
  BOOST_TEST(match.text().starts_with("width 700\n"));
}

BOOST_AUTO_TEST_CASE(has_no_nearer_neighbour) {
  RandomStream random({11, 0, 0});
  const auto below = [&](int n) { return static_cast<int>(random.below(static_cast<std::uint32_t>(n))); };
  const auto any_type = [&] {
    const std::vector<std::string> types = {"linear",   "neural",     "plain_neural",    "residual",   "low_rank",
                                            "identity", "gated_gelu", "nonlinear_query", "pattention", "conv_linear"};
    return types[static_cast<std::size_t>(below(static_cast<int>(types.size())))];
  };
  int matched = 0;
  for (int i = 0; i < 40; ++i) {
    const auto random_config = [&] {
      auto config = tiny::config(1 + below(3), 4 * (1 + below(6)));
      config.vocab_size = 1000;
      config.encoder_ffn_dim = 1 + below(90);
      config.decoder_ffn_dim = 1 + below(90);
      set_types(config, {any_type(), any_type(), any_type(), any_type()});
      return config;
    };
    const auto arm = random_config(), other = random_config();
    const MatchOptions options{.matched = i % 2 == 0 ? Matched::Parameters : Matched::Flops,
                               .example = {.tokens = 1 + below(20), .source = below(20)},
                               .multiple_of = 1 + below(3)};
    const auto check = [&](const auto& set_width) {
      const auto off = [&](int width) {
        auto config = arm;
        set_width(config, width);
        const auto size = model_size<AnyMarian>(config, options.example);
        const auto wanted = model_size<AnyMarian>(other, options.example);
        return options.matched == Matched::Parameters ? size.parameters - wanted.parameters : size.flops - wanted.flops;
      };
      try {
        const auto match = match_size<AnyMarian>(arm, other, set_width, options);
        ++matched;
        const int width = match.width, step = options.multiple_of;
        BOOST_TEST(width % step == 0);
        BOOST_TEST(off(width) == match.rest());
        BOOST_TEST(std::abs(match.rest()) <= std::abs(off(width + step)));
        if (width > step) BOOST_TEST(std::abs(match.rest()) < std::abs(off(width - step)));
      } catch (const ConfigError&) {
        const bool too_large = off(options.multiple_of) > 0;
        BOOST_TEST((too_large || off(1) == off(100)));
      }
    };
    check(by_hidden_width);
    check(by_feed_forward_width);
  }
  BOOST_TEST(matched > 20);
}

BOOST_AUTO_TEST_CASE(that_no_width_allows_is_refused) {
  const auto config = tiny::config(1, 8);
  auto small = config;
  small.d_model = 2;
  BOOST_TEST(refusal([&] {
               match_size<PaperMarian>(config, small, by_hidden_width);
             }).starts_with("no hidden width gives the arm only "));
  BOOST_TEST(refusal([&] {
               match_size<PaperMarian>(config, small, by_hidden_width);
             }).find(" parameters: with the smallest, 1, it has ") != std::string::npos);
  auto large = config;
  large.decoder_ffn_dim = 900;
  const auto unused = refusal([&] { match_size<LinearMarian>(config, large, by_hidden_width); });
  BOOST_TEST(unused.starts_with("the hidden width makes no difference to the arm, which has "), unused);
  BOOST_TEST(refusal([&] { match_size<LinearMarian>(config, config, by_feed_forward_width, {.multiple_of = 0}); }) ==
             "widths must be multiples of a positive number, not of 0");
  // As many FLOPs as no model has that can be made.
  const auto base = marian_base(1000);
  auto tall = base;
  tall.encoder_layers = tall.decoder_layers = 400;
  auto low = base;
  low.encoder_layers = low.decoder_layers = 1;
  low.d_model = low.encoder_attention_heads = low.decoder_attention_heads = 8;
  tall.d_model = 64;
  const auto out_of_reach = refusal([&] {
    match_size<LinearMarian>(low, tall, by_feed_forward_width,
                             {.matched = Matched::Flops, .example = {.tokens = 100'000}});
  });
  BOOST_TEST(out_of_reach.starts_with("no feed-forward width that a model may have gives the arm "), out_of_reach);
}

BOOST_AUTO_TEST_SUITE_END()
