// Definitions of what report/svg.hpp declares.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/report/svg.hpp"

namespace neural_attention::report {

NEURAL_ATTENTION_INLINE std::string fixed_text(double number, int places) {
  std::array<char, 352> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                          std::chars_format::fixed, std::clamp(places, 0, 12));
  if (error != std::errc{}) return "?";
  std::string text(buffer.data(), end);
  if (text.find_first_not_of("-0.") == std::string::npos && text.starts_with('-')) text.erase(0, 1);  // no "-0.0"
  return text;
}

NEURAL_ATTENTION_INLINE std::string pixels(double number) {
  std::string text = fixed_text(number, 2);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

NEURAL_ATTENTION_INLINE std::string label_text(double number, int digits) {
  if (!std::isfinite(number)) return "n/a";
  const double size = std::abs(number);
  if (size == 0) return "0";
  const auto trimmed = [](std::string text) {
    if (text.find('.') != std::string::npos) {
      text.erase(text.find_last_not_of('0') + 1);
      if (text.ends_with('.')) text.pop_back();
    }
    return text;
  };
  if (size < 1e-3 || size >= 1e15) {
    const int exponent = static_cast<int>(std::floor(std::log10(size) + 1e-9));
    return trimmed(fixed_text(number / std::pow(10.0, exponent), digits - 1)) + "e" + std::to_string(exponent);
  }
  static constexpr std::array<std::string_view, 5> units = {"", "k", "M", "G", "T"};
  double scaled = number;
  std::size_t unit = 0;
  if (size >= 1e4) {
    while (std::abs(scaled) >= 1000 && unit + 1 < units.size()) scaled /= 1000, ++unit;
  }
  const int before = static_cast<int>(std::floor(std::log10(std::abs(scaled)) + 1e-9)) + 1;
  return trimmed(fixed_text(scaled, std::max(digits - before, 0))) + std::string(units[unit]);
}

NEURAL_ATTENTION_INLINE std::string escaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t length = byte < 0x80                   ? 1
                               : byte >= 0xC2 && byte < 0xE0 ? 2
                               : (byte & 0xF0) == 0xE0       ? 3
                               : byte >= 0xF0 && byte < 0xF5 ? 4
                                                             : 0;
    bool valid = length > 0 && i + length <= text.size();
    for (std::size_t k = 1; valid && k < length; ++k) valid = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    if (valid && length > 2) {  // too long a form, a surrogate, beyond U+10FFFF, or one of XML's two non-characters
      const auto next = static_cast<unsigned char>(text[i + 1]);
      valid = !(byte == 0xE0 && next < 0xA0) && !(byte == 0xED && next >= 0xA0) && !(byte == 0xF0 && next < 0x90) &&
              !(byte == 0xF4 && next >= 0x90) &&
              !(byte == 0xEF && next == 0xBF && static_cast<unsigned char>(text[i + 2]) >= 0xBE);
    }
    if (!valid) {
      out += '?';
      ++i;
      continue;
    }
    if (length > 1) {
      out += text.substr(i, length);
    } else if (byte < 0x20 || byte == 0x7F) {
      out += ' ';
    } else {
      switch (text[i]) {
        case '&':
          out += "&amp;";
          break;
        case '<':
          out += "&lt;";
          break;
        case '>':
          out += "&gt;";
          break;
        case '"':
          out += "&quot;";
          break;
        case '\'':
          out += "&apos;";
          break;
        default:
          out += text[i];
      }
    }
    i += length;
  }
  return out;
}

NEURAL_ATTENTION_INLINE double text_width(std::string_view text, double size) {
  double ems = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;
    const bool narrow = std::string_view("iljtfrI.,:;|!'()[] ").find(c) != std::string_view::npos;
    const bool wide = std::string_view("mwMW%@").find(c) != std::string_view::npos || (c >= 'A' && c <= 'Z');
    ems += narrow ? 0.33 : wide ? 0.74 : 0.58;
  }
  return ems * size;
}

NEURAL_ATTENTION_INLINE double round_step(double span, int count) {
  const double rough = std::max(span / std::max(count, 1), std::numeric_limits<double>::min());
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double lead = rough / power;
  return power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
}

NEURAL_ATTENTION_INLINE std::vector<Tick> linear_ticks(double low, double high, int count) {
  const double step = round_step(high - low, count);
  const int places = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  const bool plain = step >= 1e-4 && std::max(std::abs(low), std::abs(high)) < 1e4;
  std::vector<Tick> ticks;
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double k = first; k <= last && ticks.size() < 100; k += 1) {
    const double at = k * step;
    const int digits = 1 + static_cast<int>(std::floor(std::log10(std::max(std::abs(at), step) / step) + 1e-9));
    ticks.push_back({at, plain ? fixed_text(at, places) : label_text(at, std::clamp(digits, 1, 9))});
  }
  return ticks;
}

NEURAL_ATTENTION_INLINE std::vector<Tick> log_ticks(double low, double high, int count) {
  low = std::max(low, std::numeric_limits<double>::min());  // denormal numbers have too few digits
  const double decades = std::log10(high) - std::log10(low);
  if (decades < 0.7) return linear_ticks(low, high, count);
  const auto every = static_cast<int>(std::max(1.0, std::ceil(decades / count)));
  std::vector<Tick> ticks;
  const int first = static_cast<int>(std::floor(std::log10(low))), last = static_cast<int>(std::ceil(std::log10(high)));
  for (int decade = first; decade <= last; ++decade) {
    if (decade % every != 0) continue;
    for (const double lead : {1.0, 2.0, 5.0}) {
      if (lead > 1 && decades > 3) break;
      const double at = lead * std::pow(10.0, decade);
      if (std::isfinite(at) && at >= low * (1 - 1e-9) && at <= high * (1 + 1e-9)) ticks.push_back({at, label_text(at)});
    }
  }
  return ticks;
}

NEURAL_ATTENTION_INLINE std::string style_sheet() {
  static constexpr std::array<std::string_view, palette_size> light = {"#0072b2", "#d55e00", "#00875f",
                                                                       "#b5558c", "#a87400", "#3c8fc4"};
  static constexpr std::array<std::string_view, palette_size> dark = {"#56a8e0", "#ff8b4a", "#35c79c",
                                                                      "#e79ac6", "#eebb45", "#9fd4f5"};
  std::string css =
      "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px;fill:#3f4752}"
      ".bg{fill:#ffffff}.title{font-size:16px;font-weight:600;fill:#16191d}.muted{fill:#68717d}"
      ".grid{stroke:#e6e9ed;stroke-width:1}.axis{stroke:#9aa3ae;stroke-width:1}.end{font-weight:600}"
      ".line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.band{stroke:none;opacity:.16}"
      ".lead{fill:none;stroke-width:1;opacity:.5}.whisker{stroke:#3f4752;stroke-width:1.2}";
  const auto colours = [](const auto& palette) {
    std::string rules;
    for (std::size_t i = 0; i < palette.size(); ++i) {
      const std::string index = std::to_string(i), colour(palette[i]);
      rules += ".c" + index + "{stroke:" + colour + "}.f" + index + "{fill:" + colour + "}";
    }
    return rules;
  };
  css += colours(light);
  css +=
      "@media (prefers-color-scheme:dark){text{fill:#c6ccd4}.bg{fill:#15181c}.title{fill:#f1f3f5}.muted{fill:#98a1ac}"
      ".grid{stroke:#2a2f36}.axis{stroke:#59626d}.whisker{stroke:#c6ccd4}" +
      colours(dark) + "}";
  return css;
}

}  // namespace neural_attention::report
