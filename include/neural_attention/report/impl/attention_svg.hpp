// Definitions of what report/attention_svg.hpp declares.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/report/attention_svg.hpp"
#include "neural_attention/report/svg_chart.hpp"

namespace neural_attention::report {

namespace detail {

struct AttentionLayout {
  std::size_t rows, columns;     // cells that are drawn
  double cell, font, left, top;  // pixels; left and top are the room for the pieces' names
  double width() const { return left + cell * static_cast<double>(columns); }
  double height() const { return top + cell * static_cast<double>(rows); }
};

/// At most this many characters of a piece appear beside a panel; the cells' tooltips show the whole piece.
inline std::string short_piece(std::string_view piece) {
  constexpr std::size_t most = 14;
  std::size_t end = 0, count = 0;
  while (end < piece.size()) {
    if ((static_cast<unsigned char>(piece[end]) & 0xC0) != 0x80 && count++ == most)
      return std::string(piece.substr(0, end)) + "…";
    ++end;
  }
  return std::string(piece);
}

inline AttentionLayout attention_layout(std::span<const std::string> sources, std::span<const std::string> targets,
                                        const AttentionMapOptions& options) {
  const auto most = static_cast<std::size_t>(options.max_pieces);
  AttentionLayout layout{};
  layout.columns = std::min(sources.size(), most);
  layout.rows = std::min(targets.size(), most);
  // Long sentences get smaller cells: a panel stays near 300 pixels wide as long as its text is readable.
  layout.cell = std::clamp(300.0 / static_cast<double>(std::max(layout.columns, layout.rows)), 10.0, 18.0);
  layout.font = std::min(11.0, layout.cell - 1.0);
  const auto widest = [&](std::span<const std::string> pieces) {
    double width = 0.0;
    for (const auto& piece : pieces) width = std::max(width, text_width(short_piece(piece), layout.font));
    return width + 6.0;
  };
  layout.left = widest(targets.first(layout.rows));
  layout.top = 18.0 + widest(sources.first(layout.columns));
  return layout;
}

inline std::string attention_panel(const AttentionPanel& panel, std::span<const std::string> sources,
                                   std::span<const std::string> targets, const AttentionLayout& at) {
  const auto place = [&](double number) { return pixels(number); };
  std::string svg = text_at(at.left, 12, panel.name, "end");
  const std::string font = "style=\"font-size:" + place(at.font) + "px\"";
  for (std::size_t s = 0; s < at.columns; ++s)
    svg += element("text",
                   font + " transform=\"translate(" + place(at.left + at.cell * (double(s) + 0.5) + 0.35 * at.font) +
                       " " + place(at.top - 4) + ") rotate(-90)\"",
                   escaped(short_piece(sources[s])));
  for (std::size_t t = 0; t < at.rows; ++t)
    svg += element("text",
                   font + " text-anchor=\"end\" x=\"" + place(at.left - 4) + "\" y=\"" +
                       place(at.top + at.cell * (double(t) + 0.5) + 0.35 * at.font) + "\"",
                   escaped(short_piece(targets[t])));
  svg += element("rect", "class=\"axis\" fill=\"none\" x=\"" + place(at.left) + "\" y=\"" + place(at.top) +
                             "\" width=\"" + place(at.cell * double(at.columns)) + "\" height=\"" +
                             place(at.cell * double(at.rows)) + "\"");
  svg += "<g class=\"f0\" shape-rendering=\"crispEdges\" transform=\"translate(" + place(at.left) + " " +
         place(at.top) + ") scale(" + place(at.cell) + ")\">\n";
  for (std::size_t t = 0; t < at.rows; ++t)
    for (std::size_t s = 0; s < at.columns; ++s) {
      const double p = panel.probabilities[t * sources.size() + s];
      svg += "<rect x=\"" + std::to_string(s) + "\" y=\"" + std::to_string(t) +
             "\" width=\"1\" height=\"1\" fill-opacity=\"" + pixels(std::clamp(p, 0.0, 1.0)) + "\"><title>" +
             escaped(targets[t]) + " ← " + escaped(sources[s]) + ": " + fixed_text(p, 3) + "</title></rect>\n";
    }
  return svg + "</g>\n";
}

}  // namespace detail

NEURAL_ATTENTION_INLINE std::string attention_map(const AttentionMapOptions& options,
                                                  std::span<const std::string> sources,
                                                  std::span<const std::string> targets,
                                                  std::span<const AttentionPanel> heads) {
  if (heads.empty() || sources.empty() || targets.empty()) throw ConfigError("an attention map has nothing to draw");
  if (options.columns < 1 || options.max_pieces < 1)
    throw ConfigError("an attention map needs at least one column and one piece");
  const auto cells = sources.size() * targets.size();
  for (const auto& head : heads) {
    if (head.probabilities.size() != cells)
      throw ShapeError("the attention map '" + head.name + "' has " + std::to_string(head.probabilities.size()) +
                       " probabilities for " + std::to_string(targets.size()) + " target and " +
                       std::to_string(sources.size()) + " source pieces");
    constexpr float room = 1e-3f;  // for rounding
    for (const float p : head.probabilities)
      if (!(p >= -room && p <= 1.0f + room))
        throw NumericError("the attention map '" + head.name + "' holds " + number_text(p) + ", no probability");
  }

  std::vector<AttentionPanel> panels;
  if (options.mean && heads.size() > 1) {
    auto& mean = panels.emplace_back(AttentionPanel{"mean of " + std::to_string(heads.size()) + " heads", {}});
    for (std::size_t i = 0; i < cells; ++i) {
      double sum = 0.0;
      for (const auto& head : heads) sum += head.probabilities[i];
      mean.probabilities.push_back(static_cast<float>(sum / static_cast<double>(heads.size())));
    }
  }
  panels.insert(panels.end(), heads.begin(), heads.end());

  const auto layout = detail::attention_layout(sources, targets, options);
  std::string note = "Rows: target pieces, columns: source pieces.";
  if (layout.columns < sources.size() || layout.rows < targets.size())
    note += " Drawn are the first " + std::to_string(layout.rows) + " of " + std::to_string(targets.size()) + " and " +
            std::to_string(layout.columns) + " of " + std::to_string(sources.size()) + ".";
  const auto across = std::min(static_cast<std::size_t>(options.columns), panels.size());
  const auto down = (panels.size() + across - 1) / across;
  constexpr double margin = 24, gap = 22, head_room = 74;
  const double width = std::max({2 * margin + double(across) * layout.width() + double(across - 1) * gap,
                                 2 * margin + text_width(options.title, 16), 2 * margin + text_width(note, 12) + 220});
  const double height = head_room + double(down) * layout.height() + double(down - 1) * gap + margin;
  const auto w = pixels(std::ceil(width)), h = pixels(std::ceil(height));

  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + w + "\" height=\"" + h +
                    "\" viewBox=\"0 0 " + w + " " + h + "\" role=\"img\">\n<title>" + escaped(options.title) +
                    "</title>\n<style>" + style_sheet() + "</style>\n";
  svg += detail::element("rect", "class=\"bg\" width=\"" + w + "\" height=\"" + h + "\" rx=\"6\"");
  svg += detail::text_at(margin, 30, options.title, "title");
  svg += detail::text_at(margin, 52, note, "muted");
  const double scale_left = margin + text_width(note, 12) + 40;  // the strengths of the colour
  svg += detail::text_at(scale_left - 6, 52, "0", "muted", "end");
  for (int i = 0; i <= 10; ++i)
    svg += detail::element("path", "class=\"f0\" fill-opacity=\"" + pixels(i / 10.0) + "\" d=\"M" +
                                       pixels(scale_left + 11 * i) + " 42h11v12h-11z\"");
  svg += detail::text_at(scale_left + 11 * 11 + 6, 52, "1", "muted");
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const auto row = i / across, column = i % across;
    const double x = margin + static_cast<double>(column) * (layout.width() + gap);
    const double y = head_room + static_cast<double>(row) * (layout.height() + gap);
    svg += "<g class=\"panel\" transform=\"translate(" + pixels(x) + " " + pixels(y) + ")\">\n" +
           detail::attention_panel(panels[i], sources, targets, layout) + "</g>\n";
  }
  return svg + "</svg>\n";
}

}  // namespace neural_attention::report
