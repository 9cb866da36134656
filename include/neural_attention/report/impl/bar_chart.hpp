// The body of bar_chart (declared in svg_chart.hpp): groups of bars on a zero line, whiskers, values above the bars.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/report/svg_chart.hpp"

namespace neural_attention::report {

NEURAL_ATTENTION_INLINE std::string bar_chart(const ChartOptions& options, std::span<const std::string> categories,
                                              std::span<const BarSeries> series) {
  using namespace detail;
  check_size(options);
  if (options.log_y) throw ConfigError("a bar chart cannot have a logarithmic axis, its bars start at zero");
  Range ys;
  std::vector<std::string> names;
  for (const BarSeries& bars : series) {
    const bool whiskers_fit =
        bars.low.size() == bars.high.size() && (bars.low.empty() || bars.low.size() == bars.values.size());
    if (bars.values.size() != categories.size() || !whiskers_fit) {
      throw ShapeError("series \"" + bars.name + "\" has " + std::to_string(bars.values.size()) + " bars and " +
                       std::to_string(bars.low.size()) + " and " + std::to_string(bars.high.size()) +
                       " ends of whiskers for " + std::to_string(categories.size()) + " categories");
    }
    for (const auto* values : {&bars.values, &bars.low, &bars.high}) {
      for (const double value : *values) ys.add(value);
    }
    names.push_back(bars.name);
  }
  if (ys.empty()) throw ConfigError("a bar chart needs at least one finite value");
  ys.add(0);
  const double room = (ys.high - ys.low) * 0.06;  // for the values
  if (ys.high > 0) ys.high += room;
  if (ys.low < 0) ys.low -= room;

  const int y_count = std::max(2, options.height / 75);
  Frame scale{};
  set_y_range(options, ys, scale, y_count);
  const auto y_ticks = linear_ticks(scale.y_low, scale.y_high, y_count);
  std::string svg = opening(options);
  double legend_height = 0;
  if (series.size() > 1 || options.legend)
    legend_height = legend(svg, names, 20, options.width - 20, options.title.empty() ? 26 : 54);
  Frame frame = margins(options, legend_height, y_ticks, 24);
  frame.x_low = 0, frame.x_high = static_cast<double>(categories.size());
  frame.y_low = scale.y_low, frame.y_high = scale.y_high;
  svg += y_axis(options, frame, y_ticks);

  const double slot = (frame.right - frame.left) / static_cast<double>(categories.size());
  const double count = static_cast<double>(series.size());
  const double bar = std::min(slot * 0.76 / count, 72.0), gap = bar > 8 ? 2.0 : 0.0;
  const double zero = frame.y(std::clamp(0.0, frame.y_low, frame.y_high));
  double widest_value = 0;
  for (const BarSeries& bars : series) {
    for (const double value : bars.values)
      widest_value = std::max(widest_value, text_width(label_text(value, options.value_digits), 11));
  }
  for (std::size_t c = 0; c < categories.size(); ++c) {
    const double middle = frame.x(static_cast<double>(c) + 0.5);
    for (std::size_t s = 0; s < series.size(); ++s) {
      const double value = series[s].values[c];
      const double x = middle + (static_cast<double>(s) - count / 2) * bar, centre = x + bar / 2;
      double label_at = zero - 6;
      if (std::isfinite(value)) {
        const double y = frame.y(std::clamp(value, frame.y_low, frame.y_high));
        svg += element("rect", "class=\"" + colour_class('f', s) + "\" x=\"" + pixels(x + gap / 2) + "\" y=\"" +
                                   pixels(std::min(y, zero)) + "\" width=\"" + pixels(bar - gap) + "\" height=\"" +
                                   pixels(std::abs(zero - y)) + "\" rx=\"" + (bar > 8 ? "2" : "0") + "\"");
        label_at = value < 0 ? y + 14 : y - 6;
      }
      if (!series[s].low.empty() && std::isfinite(series[s].low[c]) && std::isfinite(series[s].high[c])) {
        const double low = frame.y(std::clamp(series[s].low[c], frame.y_low, frame.y_high));
        const double high = frame.y(std::clamp(series[s].high[c], frame.y_low, frame.y_high));
        const double cap = std::min(5.0, bar / 4);
        svg += straight(centre, low, centre, high, "whisker") +
               straight(centre - cap, low, centre + cap, low, "whisker") +
               straight(centre - cap, high, centre + cap, high, "whisker");
        label_at = value < 0 ? std::max(label_at, low + 14) : std::min(label_at, high - 6);
      }
      if (widest_value <= bar + 6)
        svg += text_at(centre, label_at, label_text(value, options.value_digits), "", "middle");
    }
    svg += text_at(middle, frame.bottom + 20, categories[c], "", "middle");
  }
  svg += straight(frame.left, zero, frame.right, zero, "axis");
  return svg + "</svg>\n";
}

}  // namespace neural_attention::report
