// What must hold of every model of tests/golden in double: see models/golden_subject.hpp for what is computed.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "models/golden_subject.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/attention/projectors.hpp"

namespace golden {

constexpr double tolerance = 1e-9;
/// A gradient that is zero: sums of a few hundred terms of size 1 leave this much.
constexpr double rounding_noise = 1e-13;

/// The largest differences of a preset, for the log: under "grad", "adamw" and so on.
using Worst = std::map<std::string, double>;

inline void compare(const Results& results, File& goldens, Worst& worst) {
  BOOST_REQUIRE(!results.empty());
  for (const auto& [name, found] : results) {
    const double off = difference(found, goldens.read<double>(name));
    BOOST_TEST(off <= tolerance, name << " differs by " << off);
    auto& largest = worst[name.substr(0, name.find('.'))];
    largest = std::max(largest, off);
  }
}

/// Softmax does not change when all scores of a query move together, so key biases have no gradient.
template <class Subject>
void check_zero_gradients(const Subject& subject, const Results& results, Worst& worst) {
  int zero = 0;
  for (const std::string name : subject.about.at("zero_gradient_parameters")) {
    BOOST_TEST(name.ends_with("bias"));
    BOOST_TEST(name.find(Subject::key) != std::string::npos);
    for (const char* prefix : {"grad.", "grad_smoothed."})
      for (const double g : results.at(prefix + name)) {
        BOOST_TEST(std::abs(g) <= rounding_noise);
        worst["zero gradients"] = std::max(worst["zero gradients"], std::abs(g));
      }
    ++zero;
  }
  // After the last bias of these a row is changed further, or they have none, as all projectors of some models.
  const std::set<std::string> without{"identity",        "linear_silu", "linear_gelu",
                                      "nonlinear_query", "pattention",  "glu_silu"};
  const auto& config = subject.model.config();
  bool biased = !without.contains(config.key.type) && config.attention.qk_norm == na::QueryKeyNorm::None;
  if constexpr (requires { config.bias; }) biased = biased && config.bias;
  BOOST_TEST(zero >= (biased ? subject.attentions() : 0));
}

/// Outputs, losses, gradients and ten steps of one model. check_more(subject, worst) sees it before it is trained.
template <class Subject, class CheckMore>
void check_in_double(const std::string& preset, CheckMore&& check_more) {
  File goldens(std::string(Subject::family) + "/" + preset + ".safetensors");
  Subject subject(preset, goldens);
  const auto& store = subject.model.parameters();
  BOOST_TEST(store.count() == subject.about.at("parameter_count").template get<std::ptrdiff_t>());

  Worst worst;
  auto results = run(subject);
  check_zero_gradients(subject, results, worst);
  check_more(subject, worst);
  subject.train(results);
  compare(results, goldens, worst);
  BOOST_TEST(goldens.unused() == std::vector<std::string>{}, boost::test_tools::per_element());
  std::ostringstream log;
  for (const auto& [what, off] : worst) log << ", " << what << ' ' << off;
  BOOST_TEST_MESSAGE(preset << ": largest differences" << log.str().substr(1));
}

using neural_attention::AnyProjections;

/// Calls check(name) for every model of a family's folder; the parity preset adds models that were drawn at random.
template <class Check>
void each_file(const char* family, std::size_t at_least, Check&& check) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder() / family))
    if (entry.path().extension() == ".json") names.insert(entry.path().stem().string());
  BOOST_TEST_REQUIRE(names.size() >= at_least);
  for (const auto& name : names) BOOST_TEST_CONTEXT(name) check(name);
}

}  // namespace golden
