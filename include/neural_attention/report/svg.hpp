// Parts for writing charts as SVG: escaped text, numbers that do not depend on the locale, round ticks on linear and
// logarithmic axes, and one style sheet for light and dark backgrounds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace neural_attention::report {

/// `number` with exactly `places` digits after the point, "." in every locale.
std::string fixed_text(double number, int places);

/// A coordinate in pixels: two places, without trailing zeros.
std::string pixels(double number);

/// `number` with about `digits` significant digits for a label: 0.00012 -> "1.2e-4", 12300 -> "12.3k".
std::string label_text(double number, int digits = 3);

/// Text for XML: markup escaped, control characters as spaces, bytes that are not UTF-8 as '?'.
std::string escaped(std::string_view text);

/// Estimated width in pixels of a sans-serif text of `size` pixels; the viewer's font decides the true one.
double text_width(std::string_view text, double size);

struct Tick {
  double at;
  std::string label;
};

/// A step of 1, 2 or 5 times a power of ten that gives about `count` intervals over `span` > 0.
double round_step(double span, int count);

/// Ticks inside [low, high], low < high.
std::vector<Tick> linear_ticks(double low, double high, int count);

/// Ticks inside [low, high], 0 < low < high, none of them denormal: powers of ten; if these are few, also 2 and 5 times
/// them, or round steps between.
std::vector<Tick> log_ticks(double low, double high, int count);

/// The colours of the series repeat after these; line charts then change the dashes.
inline constexpr int palette_size = 6;

/// Okabe and Ito's colours, made lighter for dark backgrounds; "c0".."c5" colour strokes, "f0".."f5" fill.
std::string style_sheet();

}  // namespace neural_attention::report

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/report/impl/svg.hpp"
#endif
