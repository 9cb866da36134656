// Options of attention: gradients in double, PyTorch's values, float and bfloat16 within bounds of double, and that all
// options off is no option at all.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE attention_attention_options
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "attention/attention_module.hpp"
#include "attention/attention_option_cases.hpp"
#include "golden_file.hpp"
#include "neural_attention/attention/projectors.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/nn/recompute.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;

namespace {

using B = Poisoned<Cpu<double>>;

const std::vector<int> lengths{3, 1, 5}, memory_lengths{2, 4, 1};

/// A kind of attention, and the projectors that it has here: cross-attention takes other packings of both sides.
template <class Projectors, bool across, bool with_causality>
struct Kind {
  using P = Projectors;
  static constexpr bool cross = across, causal = with_causality;
  template <class Backend>
  using Module = AttentionModule<Backend, P, cross>;

  template <class Backend>
  static Module<Backend> module(const AttentionOptions& options, int width, int heads, double dropout) {
    return {AttentionConfig{{}, width, heads, dropout, options}, lengths, cross ? memory_lengths : lengths, causal};
  }
};
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

template <class M>
void check(const NamedOptions& how, M module, int rows, int width, const std::vector<std::string>& zero) {
  B backend(1);
  GradientOptions options;
  if (how.keys_may_shift()) options.zero = zero;
  const auto report = check_module(backend, module, rows, width, options);
  BOOST_TEST(report.ok(), how.name << ": " << report.text());
  const auto is_zero = [](const TensorGradient& tensor) { return tensor.zero_expected; };
  BOOST_TEST(std::count_if(report.tensors.begin(), report.tensors.end(), is_zero) == 2 * std::ssize(options.zero));
}

/// The names of the parameters that options add.
std::set<std::string> added(const AttentionOptions& options) {
  using First = std::tuple_element_t<0, Kinds>;
  const auto names = [](const AttentionOptions& of) {
    B backend(1);
    auto module = First::module<B>(of, 6, 2, 0.0);
    std::set<std::string> result;
    const ParameterStore<B> store(backend, module, false);
    for (const auto& entry : store.entries())
      result.insert(entry.name + " " + std::to_string(entry.rows) + "x" + std::to_string(entry.cols));
    return result;
  };
  auto result = names(options);
  for (const auto& name : names({})) BOOST_TEST(result.erase(name) == 1u);
  return result;
}

/// Forward and backward on a backend, with values that are floats, so that all begin with the same.
template <class Backend, class M>
ModuleRun<Backend> run_on(Backend& backend, M module, int width) {
  using Scalar = typename Backend::Scalar;
  ParameterStore<Backend> store(backend, module, true);
  const auto as_floats = [](const std::vector<double>& numbers) {
    std::vector<Scalar> result;
    for (const double number : numbers) result.push_back(static_cast<Scalar>(static_cast<float>(number)));
    return result;
  };
  for (const auto& entry : store.entries()) {
    const double centre = entry.initial.kind == Initial::Kind::Constant ? entry.initial.scale : 0.0;
    auto values = random_normal(4, name_hash(entry.name), entry.size(),
                                entry.rows == 1 ? 0.3 : 1.0 / std::sqrt(double(entry.cols)));
    for (auto& value : values) value += centre;
    backend(ops::Upload<Backend>{.values = as_floats(values), .x = store.value(entry)});
  }
  const auto x = as_floats(random_normal(4, 1, std::ptrdiff_t{module.rows()} * width));
  const int queries = std::accumulate(lengths.begin(), lengths.end(), 0);
  const auto dy = as_floats(random_normal(4, 2, std::ptrdiff_t{queries} * width));
  const OwnedRows<Backend> rows(backend, module.rows(), width, x);
  return run_module(backend, module, store, rows.rows, dy, {}, {});
}

/// The largest ‖found - expected‖ / ‖expected‖ of a result and the gradients. Sums of large terms may be small, so that
/// a gradient counts as at least a tenth of the largest one.
template <class Found, class Expected>
double worst(const Found& found, const Expected& expected) {
  double result = 0.0, largest = 0.0;
  const auto norm = [](const auto& numbers) {
    double sum = 0.0;
    for (const auto number : numbers) sum += double(number) * double(number);
    return std::sqrt(sum);
  };
  for (const auto& gradient : expected.gradients) largest = std::max(largest, norm(gradient));
  const auto compare = [&](const auto& a, const auto& b, double least) {
    result = std::max(result, golden::distance(a, b) / std::max(norm(b), least));
  };
  compare(found.y, expected.y, 0.0);
  compare(found.dx, expected.dx, 0.0);
  BOOST_TEST_REQUIRE(found.gradients.size() == expected.gradients.size());
  for (std::size_t i = 0; i < expected.gradients.size(); ++i)
    compare(found.gradients[i], expected.gradients[i], largest / 10);
  return result;
}

golden::File& goldens() {
  static golden::File file("modules/attention_options.safetensors");
  return file;
}

std::vector<int> golden_lengths(const std::string& name) {
  const auto offsets = goldens().read<int>(name);
  std::vector<int> result;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) result.push_back(offsets[i + 1] - offsets[i]);
  return result;
}

/// y and all gradients of a case of the goldens.
template <class P, bool cross>
void check_golden(const NamedOptions& how, const std::string& kind) {
  constexpr double tolerance = 1e-9;
  const auto name = how.name + "." + kind + ".";
  B backend(1);
  const int width = static_cast<int>(goldens().shape(name + "x").back()),
            heads = goldens().read<int>(name + "heads")[0];
  AttentionModule<B, P, cross> module({{}, width, heads, 0.0, how.options}, golden_lengths(name + "q_offsets"),
                                      golden_lengths(name + "k_offsets"), kind == "causal");
  ParameterStore<B> store(backend, module, true);
  for (const auto& entry : store.entries())
    backend(ops::Upload<B>{.values = goldens().read<double>(name + entry.name), .x = store.value(entry)});
  const auto joined = [&](const std::string& of_x, const std::string& of_memory) {
    auto all = goldens().read<double>(name + of_x);
    if (!cross) return all;
    const auto memory = goldens().read<double>(name + of_memory);
    all.insert(all.end(), memory.begin(), memory.end());
    return all;
  };
  const OwnedRows<B> x(backend, module.rows(), width, joined("x", "memory"));
  const auto run = run_module(backend, module, store, x.rows, goldens().read<double>(name + "dy"), {}, {});
  BOOST_TEST(run.violations.empty());
  const auto compare = [&](const std::string& tensor, const auto& found, const auto& expected) {
    const double difference = golden::difference(found, expected);
    BOOST_TEST(difference <= tolerance, name << tensor << " differs by " << difference);
  };
  compare("y", run.y, goldens().read<double>(name + "y"));
  compare("dx", run.dx, joined("dx", "dmemory"));
  std::size_t i = 0;
  for (const auto& entry : store.entries())
    compare("d" + entry.name, run.gradients[i++], goldens().read<double>(name + "d" + entry.name));
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
    check_golden<LinearProjections, false>(how, "self");
    check_golden<paper::marian, false>(how, "causal");
    check_golden<paper::roberta, true>(how, "cross");
  }
  for (const auto& name : goldens().unused()) BOOST_ERROR(name << " was not used");
  BOOST_TEST(goldens().size() > 400u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(rounding)

// Some hundred roundings; with bfloat16 products of operands of eight bits, and of what follows from them.
BOOST_AUTO_TEST_CASE_TEMPLATE(stays_within_bounds_of_double, K, SmoothKinds) {
  constexpr int width = 32, heads = 4;
  for (const auto& how : attention_option_cases()) {
    Cpu<double> exact(1);
    const auto expected = run_on(exact, K::template module<Cpu<double>>(how.options, width, heads, 0.0), width);
    Cpu<float> single(1), rounded(1, Precision::BFloat16), threads(7);
    const auto module = [&] { return K::template module<Cpu<float>>(how.options, width, heads, 0.0); };
    const auto found = run_on(single, module(), width);
    const double of_float = worst(found, expected), of_bfloat16 = worst(run_on(rounded, module(), width), expected);
    BOOST_TEST_MESSAGE(how.name << ": float " << of_float << ", bfloat16 " << of_bfloat16);
    BOOST_TEST(of_float <= 1e-5, how.name);
    BOOST_TEST(of_float > 0.0);
    BOOST_TEST(of_bfloat16 <= 0.1, how.name);
    BOOST_TEST(of_bfloat16 > of_float);
    const auto other = run_on(threads, module(), width);
    BOOST_TEST((other.y == found.y && other.dx == found.dx && other.gradients == found.gradients), how.name);
  }
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

BOOST_AUTO_TEST_CASE(out_of_range_are_refused) {
  const auto refused = [](const AttentionOptions& options, const std::string& message) {
    BOOST_CHECK_EXCEPTION((AttentionModule<B, LinearProjections>({{}, 4, 2, 0.0, options}, lengths, lengths, false)),
                          ConfigError, [&](const ConfigError& error) { return error.what() == message; });
  };
  refused({.soft_cap = -1.0}, "attention_soft_cap must be at least 0, not -1");
  refused({.scale = std::nan("")}, "attention_scale must be at least 0, not nan");
}

BOOST_AUTO_TEST_SUITE_END()
