// Arrangements of other works in models: one that needs options of attention brings them along.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_presets
#include <boost/test/unit_test.hpp>
#include <cstdint>

#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/models/matching.hpp"

using namespace neural_attention;
using B = Cpu<double>;
using Ceres = Roberta<B, published::ceres>;
using Uncapped = Roberta<B, Projections<JointQkv, JointQkv, JointQkv, Linear>>;

namespace {

RobertaConfig with_cap(double cap) {
  auto config = tiny::roberta_config(2);
  config.attention.soft_cap = cap;
  return config;
}

template <class Model>
double loss(const RobertaConfig& config) {
  B backend(1);
  const Model model(backend, config, 1);
  PassMemory<B> memory(backend);
  typename Model::Saved saved;
  const auto batch = tiny::masked_batch(tiny::masked_sequences());
  return model.loss(memory.begin_inference(), batch, 0.0, saved).negative_log_likelihood;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(presets)

BOOST_AUTO_TEST_CASE(bring_their_soft_cap_along) {
  BOOST_TEST(Ceres(with_cap(0)).config().attention.soft_cap == 100.0);  // and so does the config.json that is saved
  BOOST_TEST(Ceres(with_cap(2)).config().attention.soft_cap == 2.0);
  BOOST_TEST(Uncapped(with_cap(0)).config().attention.soft_cap == 0.0);
  BOOST_TEST((Roberta<B, published::primer>(with_cap(0)).config().attention == AttentionOptions()));
  BOOST_TEST(loss<Ceres>(with_cap(0)) == loss<Uncapped>(with_cap(100)));
  BOOST_TEST(loss<Ceres>(with_cap(0)) != loss<Uncapped>(with_cap(0)));
  BOOST_TEST(loss<Ceres>(with_cap(2)) == loss<Uncapped>(with_cap(2)));
}

// Of a linear model, value and output have 2 d² elements in each attention, with h = 2 d / 3 as many; the gated half
// has a bias of its own.
BOOST_AUTO_TEST_CASE(have_a_value_width_that_costs_no_parameters) {
  using Glu = published::glu_attention;
  static_assert(Glu::value_width(768, 8) == 512 && Glu::value_width(12, 4) == 8 && Glu::value_width(6, 2) == 4);
  static_assert(Glu::value_width(512, 8) == 344 && Glu::value_width(256, 4) == 172);  // nearest to 341.3 and 170.7
  static_assert(Glu::value_width(2, 2) == 2 && Glu::value_width(9, 4) == 4);          // of 4 and 8 the smaller one
  static_assert(Glu::value_width(2'000'000'000, 1) == 1'333'333'333);
  const auto linear = roberta_base();
  auto glu = linear;
  glu.attention.value_width = Glu::value_width(768, 12);  // 516: 512 is no multiple of the heads
  const std::int64_t d = 768, h = 516, more = (2 * d * h + h * d + 2 * h) - (2 * d * d + d);
  BOOST_TEST((model_size<Roberta<B, Glu>>(glu).parameters ==
              model_size<Roberta<B, LinearProjections>>(linear).parameters + 12 * more));
  const auto match =
      match_size<Roberta<B, Glu>, Roberta<B, LinearProjections>>(linear, linear, by_value_width, {.multiple_of = 12});
  BOOST_TEST(match.width == 516);
  BOOST_TEST(match.relative_rest() < 1e-3);
  BOOST_TEST(match.text().starts_with("value width 516\n"));
}

BOOST_AUTO_TEST_SUITE_END()
