// Aligned text tables and readable numbers for the programs: 1,234,567; 12.3 k; 1:23:45.
// Widths count UTF-8 code points (combining marks as none), which is right for European text.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/with_commas.hpp"

namespace examples {

using neural_attention::with_commas;

/// Columns that a UTF-8 string takes on a terminal.
inline std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0u) == 0x80u) continue;  // a continuation
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0u;
    const bool combining = byte == 0xCCu || (byte == 0xCDu && next < 0xB0u);  // U+0300 to U+036F
    width += combining ? 0 : 1;
  }
  return width;
}

/// The longest beginning of `text` that takes at most `width` columns; cut text ends in "…".
inline std::string cut_to_width(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::size_t end = 0;
  while (end < text.size()) {
    std::size_t after = end + 1;
    while (after < text.size() && (static_cast<unsigned char>(text[after]) & 0xC0u) == 0x80u) ++after;
    if (display_width(text.substr(0, after)) > width - 1) break;
    end = after;
  }
  return std::string(text.substr(0, end)) + "…";
}

enum class Align { left, right };

inline std::string padded(std::string_view text, std::size_t width, Align align = Align::left) {
  const std::size_t own = display_width(text);
  const std::string space(width > own ? width - own : 0, ' ');
  return align == Align::left ? std::string(text) + space : space + std::string(text);
}

/// 3.14159 with 2 places -> "3.14"; "nan", "inf", "-inf" if it is not finite.
inline std::string fixed(double number, int places = 2) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, "%.*f", std::clamp(places, 0, 20), number);
  return buffer;
}

/// Three significant digits with a unit: 999 -> "999", 12345 -> "12.3 k", 2.5e6 -> "2.50 M".
inline std::string compact(double number) {
  static constexpr const char* units[] = {"", " k", " M", " G", " T"};
  if (!std::isfinite(number)) return fixed(number);
  double size = std::abs(number);
  int unit = 0;
  while (size >= 999.5 && unit < 4) size /= 1000, ++unit;
  const bool whole = unit == 0 && size == std::floor(size);
  const int places = whole || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return (number < 0 ? "-" : "") + fixed(size, places) + units[unit];
}

/// 0.00045 -> "4.5e-04".
inline std::string scientific(double number) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1e", number);
  return buffer;
}

/// Seconds -> "0:07", "2:05", "1:23:45", "2d 03:04:05"; "-:--" if unknown.
inline std::string clock_time(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return "-:--";
  const auto total = static_cast<long long>(std::llround(seconds));
  const int second = static_cast<int>(total % 60), minute = static_cast<int>(total / 60 % 60);
  const int hour = static_cast<int>(total / 3600 % 24);
  const long long days = total / 86400;
  char buffer[64];
  if (days > 0)
    std::snprintf(buffer, sizeof buffer, "%lldd %02d:%02d:%02d", days, hour, minute, second);
  else if (hour > 0)
    std::snprintf(buffer, sizeof buffer, "%d:%02d:%02d", hour, minute, second);
  else
    std::snprintf(buffer, sizeof buffer, "%d:%02d", minute, second);
  return buffer;
}

/// Rows of text under a header, each column as wide as its widest cell.
class Table {
 public:
  /// Columns without a given alignment are left-aligned.
  explicit Table(std::vector<std::string> header, std::vector<Align> align = {})
      : header_(std::move(header)), align_(std::move(align)) {
    if (header_.empty()) throw neural_attention::ConfigError("a table needs at least one column");
    align_.resize(header_.size(), Align::left);
  }

  /// Throws ShapeError if there are more cells than columns; missing cells are empty.
  void add(std::vector<std::string> row) {
    if (row.size() > header_.size()) {
      throw neural_attention::ShapeError("a table row has " + std::to_string(row.size()) + " cells for " +
                                         std::to_string(header_.size()) + " columns");
    }
    row.resize(header_.size());
    rows_.push_back(std::move(row));
  }

  std::size_t rows() const { return rows_.size(); }

  /// The table, each line ended by a newline. Cells wider than `max_cell` columns are cut (0: never).
  std::string text(std::size_t max_cell = 0) const {
    std::vector<std::size_t> widths(header_.size());
    const auto cell = [&](const std::string& content) {
      return max_cell == 0 ? content : cut_to_width(content, max_cell);
    };
    for (std::size_t c = 0; c < widths.size(); ++c) {
      widths[c] = display_width(cell(header_[c]));
      for (const auto& row : rows_) widths[c] = std::max(widths[c], display_width(cell(row[c])));
    }
    const auto line = [&](const std::vector<std::string>& row) {
      std::string out;
      for (std::size_t c = 0; c < row.size(); ++c) out += (c ? "  " : "") + padded(cell(row[c]), widths[c], align_[c]);
      out.erase(out.find_last_not_of(' ') + 1);
      return out + "\n";
    };
    std::string out = line(header_);
    for (std::size_t c = 0; c < widths.size(); ++c) {
      if (c) out += "  ";
      for (std::size_t i = 0; i < widths[c]; ++i) out += "─";
    }
    out += "\n";
    for (const auto& row : rows_) out += line(row);
    return out;
  }

 private:
  std::vector<std::string> header_;
  std::vector<Align> align_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace examples
