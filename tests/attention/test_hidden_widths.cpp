// Hidden widths: usual ones, factors, columns, and those at which two projectors have equally many elements.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE attention_hidden_widths
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>

#include "models/tiny_marian.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

using namespace neural_attention;
using B = Cpu<float>;

namespace {

ProjectorConfig config(int width, HiddenWidth hidden = {}) { return {.d_in = width, .d_out = width, .hidden = hidden}; }

template <class P>
int columns(const ProjectorConfig& of) {
  return with_hidden_width<P>(of).hidden_columns();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hidden_widths)

BOOST_AUTO_TEST_CASE(factors_round_to_columns) {
  BOOST_TEST(config(7, HiddenWidth::times(2)).hidden_columns() == 14);
  BOOST_TEST(config(7, HiddenWidth::times(0.5)).hidden_columns() == 4);
  BOOST_TEST(config(7, HiddenWidth::times(0.01)).hidden_columns() == 1);
  BOOST_TEST(config(7, HiddenWidth::columns(5)).hidden_columns() == 5);
  BOOST_TEST(config(7).hidden_columns() == 14);
  for (const auto wrong :
       {HiddenWidth::times(0), HiddenWidth::times(-1), HiddenWidth::times(std::nan("")), HiddenWidth::times(INFINITY),
        HiddenWidth::times(1e300), HiddenWidth::columns(0), HiddenWidth::columns(-3), HiddenWidth::matched()})
    BOOST_CHECK_THROW(config(7, wrong).hidden_columns(), ConfigError);
}

BOOST_AUTO_TEST_CASE(usual_ones_depend_on_the_type) {
  BOOST_TEST(columns<Neural<B>>(config(12)) == 24);
  BOOST_TEST(columns<DeepLinear<B>>(config(12)) == 24);
  BOOST_TEST(columns<LowRank<B>>(config(12)) == 6);
  BOOST_TEST(columns<NonlinearQuery<B>>(config(12)) == 6);
  BOOST_TEST(columns<GatedSilu<B>>(config(12)) == 4);
  BOOST_TEST(columns<Pattention<B>>(config(12)) == 6);
  auto any = config(12);
  any.type = "low_rank";
  BOOST_TEST(columns<AnyProjector<B>>(any) == 6);
  any.type = "none";
  BOOST_CHECK_THROW(columns<AnyProjector<B>>(any), ConfigError);
}

BOOST_AUTO_TEST_CASE(matched_ones_are_the_nearest) {
  const auto matched = HiddenWidth::matched();
  BOOST_TEST(columns<PlainNeural<B>>(config(512, matched)) == 256);
  BOOST_TEST(columns<GatedSilu<B>>(config(512, matched)) == 171);  // 3 · 512 · 171 is nearer to 512² than with 170
  BOOST_TEST(columns<ResidualNeural<B>>(config(64, matched)) == 1);
  BOOST_TEST(columns<Linear<B>>(config(64, matched)) == 1);
  for (const int width : {1, 2, 3, 5, 17, 100}) {
    const int found = columns<GatedGelu<B>>(config(width, matched));
    const auto off = [&](int at) {
      const auto size = matrix_elements<GatedGelu<B>>(config(width, HiddenWidth::columns(at)));
      return std::abs(double(size) - double(width) * width);
    };
    BOOST_TEST(off(found) <= off(found + 1), width);
    if (found > 1) BOOST_TEST(off(found) <= off(found - 1), width);
  }
}

BOOST_AUTO_TEST_CASE(any_number_of_elements_is_looked_for) {
  BOOST_TEST((width_with_elements<PlainNeural<B>>(config(100), 12'345) == HiddenWidth::columns(62)));
  BOOST_TEST((width_with_elements<PlainNeural<B>>(config(100), 1) == HiddenWidth::columns(1)));
  BOOST_TEST((width_with_elements<PlainNeural<B>>(config(100), 0) == HiddenWidth::columns(1)));
}

// A model's config says what was chosen, so that its files do.
BOOST_AUTO_TEST_CASE(models_say_their_widths) {
  B backend(1);
  auto sizes = tiny::config(2, 8);
  sizes.value.hidden = HiddenWidth::columns(3);
  const Marian<B, Projections<NonlinearQuery, GatedSilu, Pattention, Linear>> model(backend, sizes, 1);
  BOOST_TEST((model.config().query.hidden == HiddenWidth::times(0.5)));
  BOOST_TEST((model.config().key.hidden == HiddenWidth::matched()));
  BOOST_TEST((model.config().value.hidden == HiddenWidth::columns(3)));
  const auto shape = [&](const std::string& name) {
    const auto* const entry = model.parameters().find("model.encoder.layers.0.self_attn." + name);
    BOOST_REQUIRE(entry != nullptr);
    return std::pair(entry->rows, entry->cols);
  };
  BOOST_TEST((shape("q_proj.mlp.1.weight") == std::pair(4, 8)));
  BOOST_TEST((shape("k_proj.gate.weight") == std::pair(3, 8)));
  BOOST_TEST((shape("v_proj.key_param_tokens") == std::pair(3, 8)));
}

BOOST_AUTO_TEST_SUITE_END()
