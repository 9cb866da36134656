// The body of line_chart (declared in svg_chart.hpp): bands, lines with gaps, and names at the line ends that do not
// collide.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/report/svg_chart.hpp"

namespace neural_attention::report {

namespace detail {

inline bool drawable(const ChartOptions& options, double x, double y) {
  return std::isfinite(x) && std::isfinite(y) && (!options.log_y || fits_log_axis(y));
}

/// Runs of drawable points [first, last).
inline std::vector<std::pair<std::size_t, std::size_t>> runs(const ChartOptions& options, const Series& line) {
  std::vector<std::pair<std::size_t, std::size_t>> found;
  for (std::size_t i = 0; i < line.points.size(); ++i) {
    if (!drawable(options, line.points[i].x, line.points[i].y)) continue;
    if (found.empty() || found.back().second != i) found.emplace_back(i, i);
    found.back().second = i + 1;
  }
  return found;
}

/// Thins long runs to the first, lowest, highest and last point of each half pixel, which looks the same.
inline std::string path_of(const Frame& frame, std::span<const Point> points) {
  std::string path;
  const auto put = [&](const Point& point) {
    path += (path.empty() ? "M" : "L") + pixels(frame.x(point.x)) + " " + pixels(frame.y(point.y));
  };
  if (points.size() < 2000) {
    for (const Point& point : points) put(point);
    return path;
  }
  for (std::size_t i = 0; i < points.size();) {
    std::size_t end = i, lowest = i, highest = i;
    const double column = std::floor(2 * frame.x(points[i].x));
    for (; end < points.size() && std::floor(2 * frame.x(points[end].x)) == column; ++end) {
      if (points[end].y < points[lowest].y) lowest = end;
      if (points[end].y > points[highest].y) highest = end;
    }
    std::vector<std::size_t> kept = {i, lowest, highest, end - 1};
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    for (const std::size_t k : kept) put(points[k]);
    i = end;
  }
  return path;
}

inline std::string band_of(const ChartOptions& options, const Frame& frame, const Series& line) {
  std::string path;
  std::vector<std::size_t> run;
  const auto close = [&] {
    if (run.size() > 1) {
      std::string shape;
      for (const std::size_t i : run)
        shape += (shape.empty() ? "M" : "L") + pixels(frame.x(line.points[i].x)) + " " + pixels(frame.y(line.high[i]));
      for (auto i = run.rbegin(); i != run.rend(); ++i)
        shape += "L" + pixels(frame.x(line.points[*i].x)) + " " + pixels(frame.y(line.low[*i]));
      path += shape + "Z";
    }
    run.clear();
  };
  for (std::size_t i = 0; i < line.low.size(); ++i) {
    const double x = line.points[i].x;
    if (drawable(options, x, line.low[i]) && drawable(options, x, line.high[i]))
      run.push_back(i);
    else
      close();
  }
  close();
  return path;
}

struct EndLabel {
  std::size_t series;
  double x, y, at;  // the line's end, and where the text stands
};

/// Moves labels apart to at least `gap` pixels with the least sum of squared moves (isotonic regression of y - i·gap),
/// then into [top, bottom] as far as there is room.
inline void spread(std::vector<EndLabel>& labels, double gap, double top, double bottom) {
  struct Block {
    double sum;
    std::size_t count;
    double mean() const { return sum / static_cast<double>(count); }
  };
  std::sort(labels.begin(), labels.end(), [](const EndLabel& a, const EndLabel& b) { return a.y < b.y; });
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    blocks.push_back({labels[i].y - gap * static_cast<double>(i), 1});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].mean() > blocks.back().mean()) {
      const Block last = blocks.back();
      blocks.pop_back();
      blocks.back().sum += last.sum;
      blocks.back().count += last.count;
    }
  }
  std::size_t i = 0;
  for (const Block& block : blocks) {
    for (std::size_t k = 0; k < block.count; ++k, ++i) labels[i].at = block.mean() + gap * static_cast<double>(i);
  }
  double least = top;
  for (EndLabel& label : labels) {
    label.at = std::max(label.at, least);
    least = label.at + gap;
  }
  double limit = bottom;
  for (std::size_t k = labels.size(); k-- > 0;) {
    labels[k].at = std::min(labels[k].at, limit);
    limit = labels[k].at - gap;
  }
}

}  // namespace detail

NEURAL_ATTENTION_INLINE std::string line_chart(const ChartOptions& options, std::span<const Series> series) {
  using namespace detail;
  check_size(options);
  Range xs, ys;
  std::vector<std::string> names;
  double widest_name = 0;
  for (const Series& line : series) {
    if (line.low.size() != line.high.size() || (!line.low.empty() && line.low.size() != line.points.size())) {
      throw ShapeError("the band of series \"" + line.name + "\" has " + std::to_string(line.low.size()) + " and " +
                       std::to_string(line.high.size()) + " values for " + std::to_string(line.points.size()) +
                       " points");
    }
    for (std::size_t i = 0; i < line.points.size(); ++i) {
      const auto [x, y] = line.points[i];
      if (!drawable(options, x, y)) continue;
      xs.add(x);
      ys.add(y);
      if (line.low.empty()) continue;
      for (const double bound : {line.low[i], line.high[i]}) {
        if (drawable(options, x, bound)) ys.add(bound);
      }
    }
    names.push_back(line.name);
    widest_name = std::max(widest_name, text_width(line.name, 12) * 1.06);
  }
  if (ys.empty())
    throw ConfigError("a line chart needs at least one finite" + std::string(options.log_y ? ", positive" : "") +
                      " point");
  if (xs.low == xs.high) {
    const double room = std::max(0.5, std::abs(xs.low) * 1e-6);
    xs.low -= room, xs.high += room;
  }
  check_axis(xs.low, xs.high);

  const int y_count = std::max(2, options.height / 75);
  Frame scale{};
  set_y_range(options, ys, scale, y_count);
  const auto y_ticks =
      options.log_y ? log_ticks(scale.y_low, scale.y_high, y_count) : linear_ticks(scale.y_low, scale.y_high, y_count);

  std::string svg = opening(options);
  double legend_height = 0;
  if (options.legend) legend_height = legend(svg, names, 20, options.width - 20, options.title.empty() ? 26 : 54);
  Frame frame = margins(options, legend_height, y_ticks, options.end_labels ? widest_name + 30 : 24);
  frame.x_low = xs.low, frame.x_high = xs.high;
  frame.y_low = scale.y_low, frame.y_high = scale.y_high, frame.log_y = scale.log_y;

  svg += y_axis(options, frame, y_ticks);
  for (const Tick& tick : linear_ticks(xs.low, xs.high, std::max(2, static_cast<int>(frame.right - frame.left) / 90))) {
    const double x = frame.x(tick.at);
    svg += straight(x, frame.bottom, x, frame.bottom + 5, "axis") +
           text_at(x, frame.bottom + 20, tick.label, "muted", "middle");
  }
  svg += straight(frame.left, frame.bottom, frame.right, frame.bottom, "axis");

  // An inner <svg> clips what lies outside the caller's limits. It needs no id, which two charts on a page would share.
  constexpr double room = 5;
  const std::string x = pixels(frame.left - room), y = pixels(frame.top - room);
  const std::string w = pixels(frame.right - frame.left + 2 * room), h = pixels(frame.bottom - frame.top + 2 * room);
  svg += "<svg x=\"" + x + "\" y=\"" + y + "\" width=\"" + w + "\" height=\"" + h + "\" viewBox=\"" + x + " " + y +
         " " + w + " " + h + "\">\n";
  std::vector<EndLabel> ends;
  for (std::size_t s = 0; s < series.size(); ++s) {
    const std::string shape = band_of(options, frame, series[s]);
    if (!shape.empty()) svg += element("path", "class=\"band " + colour_class('f', s) + "\" d=\"" + shape + "\"");
  }
  for (std::size_t s = 0; s < series.size(); ++s) {
    static constexpr std::string_view dashes[] = {"", " stroke-dasharray=\"7 4\"", " stroke-dasharray=\"2 4\""};
    const auto pieces = runs(options, series[s]);
    const std::span<const Point> points(series[s].points);
    for (const auto& [first, last] : pieces) {
      const Point& end = points[last - 1];
      if (last - first > 1) {
        svg += element("path", "class=\"line " + colour_class('c', s) + "\"" +
                                   std::string(dashes[s / static_cast<std::size_t>(palette_size) % 3]) + " d=\"" +
                                   path_of(frame, points.subspan(first, last - first)) + "\"");
      }
      if (last - first == 1 || last == pieces.back().second) {
        svg += element("circle", "class=\"" + colour_class('f', s) + "\" cx=\"" + pixels(frame.x(end.x)) + "\" cy=\"" +
                                     pixels(frame.y(end.y)) + "\" r=\"3.5\"");
      }
    }
    if (pieces.empty()) continue;
    const Point& end = points[pieces.back().second - 1];
    const double at = std::clamp(frame.y(end.y), frame.top, frame.bottom);
    ends.push_back({s, frame.x(end.x), at, at});
  }
  svg += "</svg>\n";
  if (options.end_labels) {
    spread(ends, 15, frame.top, frame.bottom);
    for (const EndLabel& label : ends) {
      const bool moved = std::abs(label.at - label.y) > 4 || frame.right - label.x > 8;
      if (moved && std::abs(label.at - label.y) < 60 && frame.right - label.x <= 8)
        svg += straight(label.x + 5, label.y, frame.right + 11, label.at, "lead " + colour_class('c', label.series));
      svg += text_at(frame.right + 13, label.at + 4, names[label.series], "end " + colour_class('f', label.series));
    }
  }
  return svg + "</svg>\n";
}

}  // namespace neural_attention::report
