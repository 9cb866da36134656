// What is checked of an attention with options: gradients in double, PyTorch's values, and how far float and bfloat16
// are from double.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "attention/attention_module.hpp"
#include "attention/attention_option_cases.hpp"
#include "golden_file.hpp"
#include "neural_attention/attention/projectors.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"

namespace option_checks {

using namespace neural_attention;
using namespace neural_attention::testing;

using B = Poisoned<Cpu<double>>;

inline const std::vector<int> lengths{3, 1, 5}, memory_lengths{2, 4, 1};

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

/// `zero` names what shifts all keys alike.
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

/// Forward and backward on a backend, with values that are floats, so that all begin with the same.
template <class Backend, class M>
ModuleRun<Backend> run_on(Backend& backend, M module, int width) {
  using Scalar = typename Backend::Scalar;
  ParameterStore<Backend> store(backend, module, Purpose::Training);
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

/// Some hundred roundings; with bfloat16 products of operands of eight bits, and of what follows from them. Threads
/// change no bit.
template <class K>
void check_rounding(const NamedOptions& how) {
  constexpr int width = 32, heads = 4;
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

inline std::vector<int> golden_lengths(golden::File& goldens, const std::string& name) {
  const auto offsets = goldens.read<int>(name);
  std::vector<int> result;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) result.push_back(offsets[i + 1] - offsets[i]);
  return result;
}

/// y and all gradients of a case of the goldens.
template <class P, bool cross>
void check_golden(golden::File& goldens, const NamedOptions& how, const std::string& kind) {
  constexpr double tolerance = 1e-9;
  const auto name = how.name + "." + kind + ".";
  B backend(1);
  const int width = static_cast<int>(goldens.shape(name + "x").back()), heads = goldens.read<int>(name + "heads")[0];
  AttentionModule<B, P, cross> module({{}, width, heads, 0.0, how.options}, golden_lengths(goldens, name + "q_offsets"),
                                      golden_lengths(goldens, name + "k_offsets"), kind == "causal");
  ParameterStore<B> store(backend, module, Purpose::Training);
  for (const auto& entry : store.entries())
    backend(ops::Upload<B>{.values = goldens.read<double>(name + entry.name), .x = store.value(entry)});
  const auto joined = [&](const std::string& of_x, const std::string& of_memory) {
    auto all = goldens.read<double>(name + of_x);
    if (!cross) return all;
    const auto memory = goldens.read<double>(name + of_memory);
    all.insert(all.end(), memory.begin(), memory.end());
    return all;
  };
  const OwnedRows<B> x(backend, module.rows(), width, joined("x", "memory"));
  const auto run = run_module(backend, module, store, x.rows, goldens.read<double>(name + "dy"), {}, {});
  BOOST_TEST(run.violations.empty());
  const auto compare = [&](const std::string& tensor, const auto& found, const auto& expected) {
    const double difference = golden::difference(found, expected);
    BOOST_TEST(difference <= tolerance, name << tensor << " differs by " << difference);
  };
  compare("y", run.y, goldens.read<double>(name + "y"));
  compare("dx", run.dx, joined("dx", "dmemory"));
  std::size_t i = 0;
  for (const auto& entry : store.entries())
    compare("d" + entry.name, run.gradients[i++], goldens.read<double>(name + "d" + entry.name));
}

}  // namespace option_checks
