// Curves of a run as SVG. They are optional: no fault of a curve ends a run.
#pragma once

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/report/svg_chart.hpp"

namespace examples {

namespace na = neural_attention;

/// Draws the series that have a finite point, if any. Returns a sentence about what went wrong, or "".
inline std::string draw_chart(const std::filesystem::path& path, const na::report::ChartOptions& options,
                              std::vector<na::report::Series> series) {
  try {
    std::erase_if(series, [](const na::report::Series& one) {
      return std::ranges::none_of(one.points, [](const auto& point) { return std::isfinite(point.y); });
    });
    if (!series.empty()) na::io::write_file_atomically(path, na::report::line_chart(options, series));
    return {};
  } catch (const std::exception& error) {
    return std::string("a chart is left out: ") + error.what();
  }
}

}  // namespace examples
