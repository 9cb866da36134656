// Definitions of what report/dot_chart.hpp declares.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/report/dot_chart.hpp"
#include "neural_attention/report/impl/line_chart.hpp"

namespace neural_attention::report {

namespace detail {

/// Some room on both sides, so that no dot lies on the edge.
inline void set_x_range(Range xs, Frame& frame) {
  const double room = xs.low == xs.high ? std::max(std::abs(xs.low) * 0.1, 1e-12) : (xs.high - xs.low) * 0.06;
  frame.x_low = xs.low - room;
  frame.x_high = xs.high + room;
  check_axis(frame.x_low, frame.x_high);
}

/// What marks the places of the numbers on an axis.
enum class Marks { Grid, Ticks };

inline std::string x_axis(const Frame& frame, Marks marks) {
  const bool grid = marks == Marks::Grid;
  std::string svg;
  const int count = std::max(2, static_cast<int>(frame.right - frame.left) / 90);
  for (const Tick& tick : linear_ticks(frame.x_low, frame.x_high, count)) {
    const double x = frame.x(tick.at);
    svg += straight(x, grid ? frame.top : frame.bottom, x, frame.bottom + (grid ? 0 : 5), grid ? "grid" : "axis") +
           text_at(x, frame.bottom + 20, tick.label, "muted", "middle");
  }
  return svg + straight(frame.left, frame.bottom, frame.right, frame.bottom, "axis");
}

inline std::string dot(double x, double y, std::size_t series, double radius) {
  return element("circle", "class=\"" + colour_class('f', series) + "\" cx=\"" + pixels(x) + "\" cy=\"" + pixels(y) +
                               "\" r=\"" + pixels(radius) + "\" fill-opacity=\"0.75\"");
}

}  // namespace detail

NEURAL_ATTENTION_INLINE std::string strip_chart(const ChartOptions& options, std::span<const DotRow> rows) {
  using namespace detail;
  constexpr double row_height = 34;
  auto sized = options;
  sized.height = static_cast<int>((options.title.empty() ? 22 : 50) + row_height * static_cast<double>(rows.size()) +
                                  (options.x_label.empty() ? 34 : 54));
  sized.height = std::max(sized.height, 150);
  check_size(sized);
  Range xs;
  double widest = 0;
  for (const auto& row : rows) {
    for (const double value : row.values) xs.add(value);
    widest = std::max(widest, text_width(row.name, 12));
  }
  if (xs.empty()) throw ConfigError("a chart of dots needs at least one finite value");
  Frame frame{};
  frame.left = std::min(30 + widest, sized.width / 2.0);
  frame.right = sized.width - 24;
  frame.top = options.title.empty() ? 22 : 50;
  frame.bottom = sized.height - (options.x_label.empty() ? 34 : 54);
  set_x_range(xs, frame);
  std::string svg = opening(sized) + x_axis(frame, Marks::Grid);
  if (!options.x_label.empty())
    svg += text_at((frame.left + frame.right) / 2, frame.bottom + 42, options.x_label, "", "middle");
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const double y = frame.top + row_height * (static_cast<double>(r) + 0.5);
    svg += text_at(frame.left - 10, y + 4, rows[r].name, "", "end");
    double sum = 0, count = 0;
    for (const double value : rows[r].values) {
      if (!std::isfinite(value)) continue;
      sum += value, ++count;
      svg += dot(frame.x(value), y, r, 5);
    }
    if (count > 0) svg += straight(frame.x(sum / count), y - 11, frame.x(sum / count), y + 11, "whisker");
  }
  return svg + "</svg>\n";
}

NEURAL_ATTENTION_INLINE std::string scatter_chart(const ChartOptions& options, std::span<const NamedDot> dots) {
  using namespace detail;
  check_size(options);
  Range xs, ys;
  double widest = 0;
  for (const auto& one : dots) {
    if (!drawable(options, one.x, one.y)) continue;
    xs.add(one.x);
    for (const double y : {one.y, one.low, one.high})
      if (drawable(options, one.x, y)) ys.add(y);
    widest = std::max(widest, text_width(one.name, 12));
  }
  if (xs.empty()) throw ConfigError("a chart of dots needs at least one finite value");
  const int count = std::max(2, options.height / 75);
  Frame scale{};
  set_y_range(options, ys, scale, count);
  const auto ticks =
      options.log_y ? log_ticks(scale.y_low, scale.y_high, count) : linear_ticks(scale.y_low, scale.y_high, count);
  Frame frame = margins(options, 0, ticks, std::min(widest + 24, options.width / 3.0));
  frame.y_low = scale.y_low, frame.y_high = scale.y_high, frame.log_y = scale.log_y;
  set_x_range(xs, frame);
  std::string svg = opening(options) + y_axis(options, frame, ticks) + x_axis(frame, Marks::Ticks);
  std::vector<EndLabel> labels;
  for (std::size_t i = 0; i < dots.size(); ++i) {
    const auto& one = dots[i];
    if (!drawable(options, one.x, one.y)) continue;
    const double x = frame.x(one.x), y = frame.y(one.y);
    if (drawable(options, one.x, one.low) && std::isfinite(one.high) && one.high > one.low)
      svg += straight(x, frame.y(one.low), x, frame.y(one.high), "whisker");
    svg += dot(x, y, i, 6);
    labels.push_back({i, x, y, y});
  }
  spread(labels, 15, frame.top, frame.bottom);
  for (const auto& label : labels)
    svg += text_at(label.x + 11, label.at + 4, dots[label.series].name, "end " + colour_class('f', label.series));
  return svg + "</svg>\n";
}

}  // namespace neural_attention::report
