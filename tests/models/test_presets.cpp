// Arrangements of other works in models: one that needs options of attention brings them along.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_presets
#include <boost/test/unit_test.hpp>

#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

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
  return model.loss(memory.begin(false), batch, 0.0, saved).negative_log_likelihood;
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

BOOST_AUTO_TEST_SUITE_END()
