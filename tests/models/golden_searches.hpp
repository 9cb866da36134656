// The searches that were made of the models of tests/golden, and what must hold of their results.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/golden_checks.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/io/generation_config_json.hpp"

namespace golden {

/// One setting of Hugging Face's generate, and the results of each sentence or prompt.
struct Generation {
  na::GenerationConfig how;
  std::vector<std::vector<na::Hypothesis>> results;
};

inline std::vector<Generation> generations(const nlohmann::json& description) {
  const std::string path = description.at("preset").get<std::string>() + ".json";
  std::vector<Generation> all;
  for (const auto& one : description.at("generations")) {
    auto& added = all.emplace_back(Generation{na::io::generation_config(one.at("config"), path), {}});
    for (const auto& sentence : one.at("results")) {
      auto& results = added.results.emplace_back();
      for (const auto& result : sentence) results.push_back({result.at("ids"), result.value("score", 0.0)});
    }
  }
  return all;
}

inline void check_results(const std::vector<na::Hypothesis>& found, const std::vector<na::Hypothesis>& expected,
                          Worst& worst) {
  BOOST_TEST_REQUIRE(!expected.empty());
  BOOST_TEST_REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    BOOST_TEST(found[i].ids == expected[i].ids, boost::test_tools::per_element());
    const double difference = std::abs(found[i].score - expected[i].score);
    BOOST_TEST(difference <= tolerance, "the score of result " << i << " differs by " << difference);
    worst["scores"] = std::max(worst["scores"], difference);
  }
}

}  // namespace golden
