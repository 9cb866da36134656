// Options of attention: gradients in double, PyTorch's values, float and bfloat16 within bounds of double, and that all
// options off is no option at all.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE attention_attention_options
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "attention/option_checks.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/nn/recompute.hpp"

using namespace option_checks;

namespace {

using Kinds = std::tuple<Kind<LinearProjections, false, false>, Kind<LinearProjections, false, true>,
                         Kind<LinearProjections, true, false>, Kind<paper::marian, false, false>,
                         Kind<paper::marian, false, true>, Kind<paper::marian, true, false>>;

/// The same with projectors that have no kink, near which a rounded number may fall to the other side.
using Smooth = Projections<GatedSilu, GatedSilu, Linear, GatedSilu>;
using SmoothKinds = std::tuple<Kind<LinearProjections, false, false>, Kind<LinearProjections, false, true>,
                               Kind<LinearProjections, true, false>, Kind<Smooth, false, false>,
                               Kind<Smooth, false, true>, Kind<Smooth, true, false>>;

template <class P>
std::vector<std::string> key_shifts() {
  return {std::is_same_v<P, LinearProjections> ? "k_proj.bias" : "k_proj.3.bias"};
}

/// The names of the parameters that options add.
std::set<std::string> added(const AttentionOptions& options) {
  using First = std::tuple_element_t<0, Kinds>;
  const auto names = [](const AttentionOptions& of) {
    B backend(1);
    auto module = First::module<B>(of, 6, 2, 0.0);
    std::set<std::string> result;
    const ParameterStore<B> store(backend, module, neural_attention::Purpose::Inference);
    for (const auto& entry : store.entries())
      result.insert(entry.name + " " + std::to_string(entry.rows) + "x" + std::to_string(entry.cols));
    return result;
  };
  auto result = names(options);
  for (const auto& name : names({})) BOOST_TEST(result.erase(name) == 1u);
  return result;
}

/// The result with initial weights, and the learned factors.
struct Beginning {
  std::vector<double> y, scale;
};

Beginning beginning(const AttentionOptions& options) {
  constexpr int width = 6, heads = 2;
  using Module = AttentionModule<Cpu<double>, LinearProjections>;
  Cpu<double> backend(1);
  const WeightInitial large{false, 0.5};
  Module module(attention_config(width, heads, 0.0, {}, large, options), lengths, lengths, false);
  ParameterStore<Cpu<double>> store(backend, module, neural_attention::Purpose::Inference);
  store.initialise(8);
  const OwnedRows<Cpu<double>> x(backend, module.rows(), width,
                                 random_normal(4, 1, std::ptrdiff_t{module.rows()} * width));
  PassMemory<Cpu<double>> memory(backend);
  Module::Saved saved;
  Beginning result;
  result.y = download(backend, module.forward(memory.begin_inference(), x.rows, saved));
  if (const auto* const factors = store.find("scale")) result.scale = download(backend, store.value(*factors));
  return result;
}

golden::File& goldens() {
  static golden::File file("modules/attention_options.safetensors");
  return file;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gradients)

BOOST_AUTO_TEST_CASE_TEMPLATE(equal_numeric_ones, K, Kinds) {
  for (const auto& how : attention_option_cases())
    for (const double dropout : {0.0, 0.2}) {
      if (dropout > 0.0 && how.name != "all" && how.name != "soft_cap") continue;
      const auto module = K::template module<B>(how.options, 6, 2, dropout);
      check(how, module, module.rows(), 6, key_shifts<typename K::P>());
    }
}

BOOST_AUTO_TEST_CASE(equal_numeric_ones_where_activations_are_recomputed) {
  using Causal = std::tuple_element_t<4, Kinds>;
  for (const auto& how : attention_option_cases()) {
    Recompute<B, Causal::Module<B>> module(Causal::module<B>(how.options, 6, 2, 0.2));
    check(how, std::move(module), 9, 6, {"k_proj.3.bias"});
  }
}

// Longer than a tile of the kernel.
BOOST_AUTO_TEST_CASE(equal_numeric_ones_in_several_tiles) {
  const NamedOptions how{"soft_cap", {.soft_cap = 0.8}};
  AttentionModule<B, LinearProjections> module({{}, 2, 1, 0.1, how.options}, {3, 133}, {3, 133}, true);
  check(how, module, module.rows(), 2, {});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(values_of_pytorch)

BOOST_AUTO_TEST_CASE(are_equal) {
  for (const auto& how : attention_option_cases()) {
    check_golden<LinearProjections, false>(goldens(), how, "self");
    check_golden<paper::marian, false>(goldens(), how, "causal");
    check_golden<paper::roberta, true>(goldens(), how, "cross");
  }
  for (const auto& name : goldens().unused()) BOOST_ERROR(name << " was not used");
  BOOST_TEST(goldens().size() > 400u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(rounding)

BOOST_AUTO_TEST_CASE_TEMPLATE(stays_within_bounds_of_double, K, SmoothKinds) {
  for (const auto& how : attention_option_cases()) check_rounding<K>(how);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(options)

BOOST_AUTO_TEST_CASE(add_these_parameters) {
  using Names = std::set<std::string>;
  const std::map<std::string, Names> expected = {
      {"scale", {}},
      {"shared_scale", {"scale 1x1"}},
      {"scale_per_head", {"scale 1x2"}},
      {"soft_cap", {}},
      {"l2", {"scale 1x1"}},
      {"l2_per_head", {"scale 1x2"}},
      {"rms", {"q_norm.weight 1x3", "k_norm.weight 1x3"}},
      {"gate_per_head", {"gate_proj.weight 2x6"}},
      {"gate_per_element", {"gate_proj.weight 6x6"}},
      {"all", {"scale 1x2", "q_norm.weight 1x3", "k_norm.weight 1x3", "gate_proj.weight 6x6"}}};
  for (const auto& how : attention_option_cases())
    BOOST_TEST(added(how.options) == expected.at(how.name), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(that_say_what_is_usual_change_nothing) {
  constexpr int width = 8, heads = 2;
  using First = std::tuple_element_t<1, Kinds>;
  Cpu<double> backend(1);
  const auto run = [&](const AttentionOptions& options) {
    return run_on(backend, First::module<Cpu<double>>(options, width, heads, 0.0), width);
  };
  const auto usual = run({}), said = run({.scale = 0.5});  // 1/√4
  BOOST_TEST(said.y == usual.y);
  BOOST_TEST((said.gradients == usual.gradients));
  BOOST_TEST(run({.scale = 0.6}).y != usual.y);
}

// A factor that is learned begins as the fixed one: 1/√3, or attention_scale.
BOOST_AUTO_TEST_CASE(that_learn_a_scale_begin_as_without) {
  for (const double scale : {0.0, 0.7})
    for (const auto norm : {QueryKeyNorm::None, QueryKeyNorm::Rms}) {
      const auto fixed = beginning({.scale = scale, .qk_norm = norm});
      BOOST_TEST(fixed.scale.empty());
      for (const auto learned : {LearnedScale::Shared, LearnedScale::PerHead}) {
        const auto found = beginning({.scale = scale, .learned_scale = learned, .qk_norm = norm});
        const std::vector<double> factors(learned == LearnedScale::Shared ? 1 : 2,
                                          scale > 0.0 ? scale : 1.0 / std::sqrt(3.0));
        BOOST_TEST(found.scale == factors, boost::test_tools::per_element());
        BOOST_TEST(golden::difference(found.y, fixed.y) <= 1e-14);
      }
    }
  BOOST_TEST(golden::difference(beginning({.scale = 0.7}).y, beginning({}).y) > 1e-3);
}

BOOST_AUTO_TEST_CASE(that_compare_cosines_begin_with_a_scale_of_ten) {
  for (const auto learned : {LearnedScale::None, LearnedScale::PerHead}) {
    const std::size_t count = learned == LearnedScale::None ? 1 : 2;
    BOOST_TEST(beginning({.learned_scale = learned, .qk_norm = QueryKeyNorm::L2}).scale == std::vector(count, 10.0));
    BOOST_TEST(beginning({.scale = 0.7, .learned_scale = learned, .qk_norm = QueryKeyNorm::L2}).scale ==
               std::vector(count, 0.7));
  }
}

BOOST_AUTO_TEST_CASE(out_of_range_are_refused) {
  const auto refused = [](const AttentionOptions& options, const std::string& message) {
    BOOST_CHECK_EXCEPTION((AttentionModule<B, LinearProjections>({{}, 4, 2, 0.0, options}, lengths, lengths, false)),
                          ConfigError, [&](const ConfigError& error) { return error.what() == message; });
  };
  refused({.soft_cap = -1.0}, "attention_soft_cap must be at least 0, not -1");
  refused({.scale = std::nan("")}, "attention_scale must be at least 0, not nan");
}

BOOST_AUTO_TEST_SUITE_END()
