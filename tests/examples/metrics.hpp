// What a training run wrote into its metrics.jsonl.
#pragma once

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "examples/programs.hpp"

namespace programs {

/// All rows; there is one at least.
inline std::vector<nlohmann::json> metrics(const std::filesystem::path& output) {
  std::vector<nlohmann::json> rows;
  for (const auto& line : lines_of(content(output / "metrics.jsonl"))) rows.push_back(nlohmann::json::parse(line));
  BOOST_REQUIRE(!rows.empty());
  return rows;
}

/// The learning rates of the rows that have one.
inline std::vector<double> learning_rates(const std::filesystem::path& output) {
  std::vector<double> rates;
  for (const auto& row : metrics(output))
    if (row.contains("learning_rate")) rates.push_back(row["learning_rate"].get<double>());
  return rates;
}

}  // namespace programs
