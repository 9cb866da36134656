// Line charts and bar charts as standalone SVG text: nothing to install, sharp at every size, light and dark.
// line_chart: series of (x, y) with an optional band; a y that is not finite leaves a gap. bar_chart: groups of bars.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/report/svg.hpp"

namespace neural_attention::report {

struct Point {
  double x, y;
};

/// One line. `low` and `high` are empty or have one value per point: the band drawn behind the line.
struct Series {
  std::string name;
  std::vector<Point> points;
  std::vector<double> low = {}, high = {};
};

/// One bar per category. `low` and `high` are empty or have one value per bar: a whisker.
struct BarSeries {
  std::string name;
  std::vector<double> values;
  std::vector<double> low = {}, high = {};
};

struct ChartOptions {
  std::string title = {}, x_label = {}, y_label = {};
  int width = 760, height = 420;                 // pixels, at least 200 x 150
  bool log_y = false;                            // values that are not positive, or denormal, leave gaps
  bool legend = false;                           // bar charts with several series always have one
  bool end_labels = true;                        // the series' name where its line ends
  int value_digits = 3;                          // significant digits of value labels
  std::optional<double> y_min = {}, y_max = {};  // instead of the data's range; what lies outside is cut off
};

namespace detail {

struct Frame {
  double left, right, top, bottom;  // pixels
  double x_low, x_high, y_low, y_high;
  bool log_y;

  double x(double value) const { return left + (value - x_low) / (x_high - x_low) * (right - left); }
  double y(double value) const;
};

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();

  void add(double value);
  bool empty() const { return low > high; }
};

std::string element(std::string_view name, std::string_view attributes, std::string_view content = {});

std::string text_at(double x, double y, std::string_view text, std::string_view style,
                    std::string_view anchor = "start");

std::string straight(double x1, double y1, double x2, double y2, std::string_view style);

std::string colour_class(char kind, std::size_t series);

/// Whether a logarithmic axis has a place for it.
inline bool fits_log_axis(double value) { return value >= std::numeric_limits<double>::min(); }

void check_size(const ChartOptions& options);

/// Throws ConfigError for an axis on which numbers have no places: its ends are one number, or too far apart.
void check_axis(double low, double high);

/// The y axis: the data's range rounded outwards to ticks, or the caller's limits. Throws as check_axis does.
void set_y_range(const ChartOptions& options, Range y, Frame& frame, int ticks);

std::string opening(const ChartOptions& options);

/// Coloured names in rows from (left, y). Returns the height used.
double legend(std::string& svg, std::span<const std::string> names, double left, double right, double y);

/// Grid, tick labels and axis titles for y; the axis line at the bottom.
std::string y_axis(const ChartOptions& options, const Frame& frame, std::span<const Tick> ticks);

Frame margins(const ChartOptions& options, double legend_height, std::span<const Tick> y_ticks, double right);

}  // namespace detail

/// A line chart. Throws ConfigError if there is nothing to draw, the options make no sense, or numbers are farther
/// apart than the largest one; ShapeError if a line and its band have different numbers of points.
std::string line_chart(const ChartOptions& options, std::span<const Series> series);

/// Grouped bars from a zero line: series[s].values[c] stands at categories[c]; a value that is not finite has no bar.
/// Throws as line_chart does, and ConfigError for log_y, because bars compare lengths from zero.
std::string bar_chart(const ChartOptions& options, std::span<const std::string> categories,
                      std::span<const BarSeries> series);

}  // namespace neural_attention::report

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/report/impl/bar_chart.hpp"
#include "neural_attention/report/impl/line_chart.hpp"
#include "neural_attention/report/impl/svg_chart.hpp"
#endif
