// Definitions of what report/svg_chart.hpp declares.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/report/svg.hpp"
#include "neural_attention/report/svg_chart.hpp"

namespace neural_attention::report::detail {

NEURAL_ATTENTION_INLINE double Frame::y(double value) const {
  const double share = log_y ? (std::log(value) - std::log(y_low)) / (std::log(y_high) - std::log(y_low))
                             : (value - y_low) / (y_high - y_low);
  return bottom - share * (bottom - top);
}

NEURAL_ATTENTION_INLINE void Range::add(double value) {
  if (!std::isfinite(value)) return;
  low = std::min(low, value);
  high = std::max(high, value);
}

NEURAL_ATTENTION_INLINE std::string element(std::string_view name, std::string_view attributes,
                                            std::string_view content) {
  std::string out = "<" + std::string(name) + " " + std::string(attributes);
  return content.empty() ? out + "/>\n" : out + ">" + std::string(content) + "</" + std::string(name) + ">\n";
}

NEURAL_ATTENTION_INLINE std::string text_at(double x, double y, std::string_view text, std::string_view style,
                                            std::string_view anchor) {
  std::string attributes = "x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\"";
  if (!style.empty()) attributes += " class=\"" + std::string(style) + "\"";
  if (anchor != "start") attributes += " text-anchor=\"" + std::string(anchor) + "\"";
  return element("text", attributes, escaped(text.empty() ? " " : text));
}

NEURAL_ATTENTION_INLINE std::string straight(double x1, double y1, double x2, double y2, std::string_view style) {
  return element("line", "x1=\"" + pixels(x1) + "\" y1=\"" + pixels(y1) + "\" x2=\"" + pixels(x2) + "\" y2=\"" +
                             pixels(y2) + "\" class=\"" + std::string(style) + "\"");
}

NEURAL_ATTENTION_INLINE std::string colour_class(char kind, std::size_t series) {
  return kind + std::to_string(series % static_cast<std::size_t>(palette_size));
}

NEURAL_ATTENTION_INLINE void check_size(const ChartOptions& options) {
  if (options.width < 200 || options.height < 150 || options.width > 10000 || options.height > 10000) {
    throw ConfigError("a chart of " + std::to_string(options.width) + " x " + std::to_string(options.height) +
                      " pixels was asked for, but it needs 200 x 150 to 10000 x 10000");
  }
  for (const auto& limit : {options.y_min, options.y_max}) {
    if (limit && (!std::isfinite(*limit) || (options.log_y && !fits_log_axis(*limit))))
      throw ConfigError("a chart's limit of y must be finite, and at least 2.3e-308 on a logarithmic axis");
  }
}

NEURAL_ATTENTION_INLINE void check_axis(double low, double high) {
  if (!(low < high) || !std::isfinite(high - low))
    throw ConfigError("a chart's axis cannot reach from " + number_text(low) + " to " + number_text(high));
}

NEURAL_ATTENTION_INLINE void set_y_range(const ChartOptions& options, Range y, Frame& frame, int ticks) {
  double low = options.y_min.value_or(y.low), high = options.y_max.value_or(y.high);
  if (options.y_min && options.y_max && low >= high) throw ConfigError("a chart's y_min must be below its y_max");
  if (low >= high) {  // one value: some room around it
    const double room = options.log_y ? 0 : std::max(std::abs(low) * 0.1, 1e-12);
    const bool keep_low = options.y_min.has_value();
    if (options.log_y) {
      (keep_low ? high : low) = keep_low ? low * 2 : high / 2;
      if (!keep_low && !options.y_max) high *= 2;
    } else {
      if (keep_low)
        high = low + std::max(room, 1.0);
      else if (options.y_max)
        low = high - std::max(room, 1.0);
      else if (low == 0)
        high = 1;
      else
        low -= room, high += room;
    }
  }
  constexpr double largest = std::numeric_limits<double>::max();
  if (options.log_y) {
    const double room = std::exp(0.03 * (std::log(high) - std::log(low)));
    if (!options.y_min) low = std::max(low / room, std::numeric_limits<double>::min());
    if (!options.y_max) high = std::min(high * room, largest);
  } else {
    check_axis(low, high);
    const double step = round_step(high - low, ticks);
    if (!options.y_min) low = std::max(std::floor(low / step + 1e-9) * step, -largest);
    if (!options.y_max) high = std::min(std::ceil(high / step - 1e-9) * step, largest);
  }
  check_axis(low, high);
  frame.y_low = low;
  frame.y_high = high;
  frame.log_y = options.log_y;
}

NEURAL_ATTENTION_INLINE std::string opening(const ChartOptions& options) {
  const std::string w = std::to_string(options.width), h = std::to_string(options.height);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + w + "\" height=\"" + h +
                    "\" viewBox=\"0 0 " + w + " " + h + "\" role=\"img\">\n";
  svg += "<title>" + escaped(options.title.empty() ? "chart" : options.title) + "</title>\n";
  svg += "<style>" + style_sheet() + "</style>\n";
  svg += element("rect", "class=\"bg\" width=\"" + w + "\" height=\"" + h + "\" rx=\"6\"");
  if (!options.title.empty()) svg += text_at(20, 30, options.title, "title");
  return svg;
}

NEURAL_ATTENTION_INLINE double legend(std::string& svg, std::span<const std::string> names, double left, double right,
                                      double y) {
  double x = left, used = 20;  // one row
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double width = 18 + text_width(names[i], 12) + 18;
    if (x > left && x + width > right) x = left, used += 18;
    const double line = y + used - 20;
    svg += element("rect", "x=\"" + pixels(x) + "\" y=\"" + pixels(line - 9) +
                               "\" width=\"12\" height=\"10\" rx=\"2\" class=\"" + colour_class('f', i) + "\"");
    svg += text_at(x + 18, line, names[i], "");
    x += width;
  }
  return used + 8;
}

NEURAL_ATTENTION_INLINE std::string y_axis(const ChartOptions& options, const Frame& frame,
                                           std::span<const Tick> ticks) {
  std::string svg;
  for (const Tick& tick : ticks) {
    const double y = frame.y(tick.at);
    svg += straight(frame.left, y, frame.right, y, "grid");
    svg += text_at(frame.left - 8, y + 4, tick.label, "muted", "end");
  }
  if (!options.y_label.empty()) {
    const std::string middle = pixels((frame.top + frame.bottom) / 2);
    svg += element("text", "transform=\"translate(24 " + middle + ") rotate(-90)\" text-anchor=\"middle\"",
                   escaped(options.y_label));
  }
  if (!options.x_label.empty())
    svg += text_at((frame.left + frame.right) / 2, frame.bottom + 42, options.x_label, "", "middle");
  return svg;
}

NEURAL_ATTENTION_INLINE Frame margins(const ChartOptions& options, double legend_height, std::span<const Tick> y_ticks,
                                      double right) {
  Frame frame{};
  double widest = 0;
  for (const Tick& tick : y_ticks) widest = std::max(widest, text_width(tick.label, 12));
  frame.left = (options.y_label.empty() ? 20 : 40) + widest + 8;
  frame.right = std::max(options.width - right, frame.left + 60);
  frame.top = (options.title.empty() ? 22 : 50) + legend_height;
  frame.bottom = options.height - (options.x_label.empty() ? 34 : 54);
  return frame;
}

}  // namespace neural_attention::report::detail
