// ratio_chart RESULTS.json CHART.svg: how many times as fast as its peer this library was in each row that compare.py
// measured, and how fast it should be.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/report/svg_chart.hpp"

namespace {

namespace na = neural_attention;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void draw(const std::string& results, const std::string& chart) {
  std::vector<std::string> categories;
  na::report::BarSeries ratios{"this library", {}}, targets{"target", {}};
  const auto json = na::io::read_json(results);
  for (const auto& row : json.at("rows")) {
    if (!row.contains("seconds")) continue;
    categories.push_back(row.at("short"));
    ratios.values.push_back(median(row.at("peer_seconds")) / median(row.at("seconds")));
    targets.values.push_back(row.at("target"));
  }
  const std::vector<na::report::BarSeries> series = {ratios, targets};
  na::report::ChartOptions options;
  options.title = "Speed as a multiple of the peer's";
  options.width = 900;
  na::io::write_file_atomically(chart, na::report::bar_chart(options, categories, series));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: ratio_chart RESULTS.json CHART.svg\n");
    return 2;
  }
  try {
    draw(arguments[1], arguments[2]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
