// Charts of single results as standalone SVG text: one row of dots for each arm, and dots by two numbers.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/report/svg_chart.hpp"

namespace neural_attention::report {

/// One row of strip_chart.
struct DotRow {
  std::string name;
  std::vector<double> values;
};

/// A row for each name: a dot for each finite value over one axis below, labelled `x_label`, and a bar at their mean.
/// The height follows from the number of rows; options.height is not read. Throws ConfigError if there is no finite
/// value or the options make no sense.
std::string strip_chart(const ChartOptions& options, std::span<const DotRow> rows);

/// A dot of scatter_chart; `low` and `high`, if they are finite, are the ends of a whisker along y.
struct NamedDot {
  std::string name;
  double x, y, low, high;
};

/// Dots with their names. Those that are not finite are left out. Throws as strip_chart does.
std::string scatter_chart(const ChartOptions& options, std::span<const NamedDot> dots);

}  // namespace neural_attention::report

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/report/impl/dot_chart.hpp"
#endif
