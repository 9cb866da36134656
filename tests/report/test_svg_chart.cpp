// Charts: well-formed XML, points inside the frame, gaps, bands, ticks, refused input.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE svg_chart
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/report/svg_chart.hpp"
#include "report/xml.hpp"

namespace report = neural_attention::report;
using report::Series;

namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

std::string attribute(const std::string& text, std::size_t from, const std::string& name) {
  const auto at = text.find(" " + name + "=\"", from);
  BOOST_REQUIRE(at != std::string::npos);
  const auto begin = at + name.size() + 3;
  return text.substr(begin, text.find('"', begin) - begin);
}

/// The numbers of every path of class `style`, as (x, y) pairs.
std::vector<report::Point> path_points(const std::string& svg, const std::string& style) {
  std::vector<report::Point> points;
  for (auto at = svg.find("<path class=\"" + style); at != std::string::npos;
       at = svg.find("<path class=\"" + style, at + 1)) {
    const std::string path = attribute(svg, at, "d");
    const char* cursor = path.c_str();
    while (*cursor) {
      while (*cursor && std::isalpha(static_cast<unsigned char>(*cursor))) ++cursor;
      if (!*cursor) break;
      char* next = nullptr;
      const double x = std::strtod(cursor, &next);
      const double y = std::strtod(next, &next);
      BOOST_REQUIRE(next != cursor);
      points.push_back({x, y});
      cursor = next;
    }
  }
  return points;
}

Series falling(const std::string& name, int length) {
  Series line{name, {}, {}, {}};
  for (int i = 1; i <= length; ++i) line.points.push_back({10.0 * i, 8.0 / i + 0.5});
  return line;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_line_chart_is_well_formed_and_inside_its_frame) {
  Series banded = falling("neural", 40);
  for (const auto& point : banded.points) {
    banded.low.push_back(point.y - 0.3);
    banded.high.push_back(point.y + 0.4);
  }
  const std::vector<Series> series{falling("linear", 50), banded};
  for (const bool log_y : {false, true}) {
    report::ChartOptions options{.title = "Loss", .x_label = "step", .y_label = "nats", .log_y = log_y, .legend = true};
    const std::string svg = report::line_chart(options, series);
    BOOST_TEST(fault(svg) == "");
    BOOST_TEST(svg.find("prefers-color-scheme:dark") != std::string::npos);
    BOOST_TEST(count(svg, "class=\"line ") == 2u);
    BOOST_TEST(count(svg, "class=\"band ") == 1u);
    BOOST_TEST(count(svg, ">linear</text>") == 2u);  // legend and line end
    const auto lines = path_points(svg, "line"), band = path_points(svg, "band");
    BOOST_TEST(lines.size() == 90u);
    BOOST_TEST(band.size() == 80u);
    for (const auto* points : {&lines, &band}) {
      for (const auto& [x, y] : *points) {
        BOOST_TEST((x > 30 && x < 740));
        BOOST_TEST((y > 60 && y < 370));
      }
    }
    // x grows to the right, and a falling loss goes down, which is a growing y.
    BOOST_TEST(lines[0].x < lines[49].x);
    BOOST_TEST(lines[0].y < lines[49].y);
  }
}

BOOST_AUTO_TEST_CASE(positions_are_to_scale) {
  const std::vector<Series> series{{"line", {{0, 0}, {5, 5}, {10, 10}}, {}, {}}};
  const auto linear = path_points(report::line_chart({}, series), "line");
  BOOST_REQUIRE(linear.size() == 3u);
  BOOST_TEST(linear[1].x == (linear[0].x + linear[2].x) / 2, boost::test_tools::tolerance(1e-3));
  BOOST_TEST(linear[1].y == (linear[0].y + linear[2].y) / 2, boost::test_tools::tolerance(1e-3));
  const std::vector<Series> powers{{"line", {{0, 1}, {5, 10}, {10, 100}}, {}, {}}};
  const auto logarithmic = path_points(report::line_chart({.log_y = true}, powers), "line");
  BOOST_REQUIRE(logarithmic.size() == 3u);
  BOOST_TEST(logarithmic[1].y == (logarithmic[0].y + logarithmic[2].y) / 2, boost::test_tools::tolerance(1e-3));
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_leaves_a_gap) {
  Series line = falling("line", 9);
  line.points[4].y = nan_value;
  const std::string svg = report::line_chart({}, std::vector<Series>{line});
  BOOST_TEST(fault(svg) == "");
  BOOST_TEST(count(svg, "class=\"line ") == 2u);
  BOOST_TEST(path_points(svg, "line").size() == 8u);
  BOOST_TEST(svg.find("nan") == std::string::npos);
  line.points[4].y = std::numeric_limits<double>::infinity();
  const std::string infinite = report::line_chart({}, std::vector<Series>{line});
  BOOST_TEST(path_points(infinite, "line").size() == 8u);
  BOOST_TEST(infinite.find("\"inf") == std::string::npos);
  line.points[4].y = -1;  // no place on a logarithmic axis
  BOOST_TEST(path_points(report::line_chart({.log_y = true}, std::vector<Series>{line}), "line").size() == 8u);
}

BOOST_AUTO_TEST_CASE(one_point_and_constant_series_are_drawn) {
  for (const double y : {0.0, 5.0, -3.0}) {
    const std::string svg = report::line_chart({}, std::vector<Series>{{"one", {{3, y}}, {}, {}}});
    BOOST_TEST(fault(svg) == "");
    BOOST_TEST(count(svg, "<circle") == 1u);
    const auto at = svg.find("<circle");
    const double cy = std::stod(attribute(svg, at, "cy"));
    BOOST_TEST((cy > 10 && cy < 400));
    BOOST_TEST(svg.find("nan") == std::string::npos);
    const std::string flat = report::line_chart({}, std::vector<Series>{{"flat", {{0, y}, {1, y}}, {}, {}}});
    BOOST_TEST(path_points(flat, "line").size() == 2u);
    BOOST_TEST(flat.find("nan") == std::string::npos);
  }
  const std::string logarithmic = report::line_chart({.log_y = true}, std::vector<Series>{{"one", {{3, 7}}, {}, {}}});
  BOOST_TEST(count(logarithmic, "<circle") == 1u);
  BOOST_TEST(logarithmic.find("nan") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(numbers_of_any_size_have_places_or_are_refused) {
  constexpr double largest = std::numeric_limits<double>::max(), smallest = std::numeric_limits<double>::min(),
                   denormal = std::numeric_limits<double>::denorm_min();
  const auto chart = [](bool log_y, std::initializer_list<double> ys) {
    Series line{"line", {}, {}, {}};
    for (const double y : ys) line.points.push_back({double(line.points.size()), y});
    return report::line_chart({.log_y = log_y}, std::vector<Series>{line});
  };
  const auto drawn = [](const std::string& svg, std::size_t points) {
    BOOST_TEST(fault(svg) == "");
    for (const auto* const word : {"nan", "inf", "\"?"}) BOOST_TEST(count(svg, word) == 0u, word);
    const auto places = path_points(svg, "line");
    BOOST_TEST(places.size() == points);
    for (const auto& [x, y] : places) BOOST_TEST((x > 0 && x < 760 && y > 0 && y < 420), x << ", " << y);
  };
  drawn(chart(true, {denormal, 1e-300, 1e-299}), 2);  // the first leaves a gap
  drawn(chart(true, {smallest, 1, largest}), 3);
  drawn(chart(true, {largest, largest}), 2);
  drawn(chart(false, {0, 1e308, 1.75e308}), 3);
  drawn(chart(false, {-8e307, 8e307}), 2);
  BOOST_CHECK_THROW(chart(false, {-1e308, 1e308}), neural_attention::ConfigError);
  BOOST_CHECK_THROW(report::bar_chart({}, std::vector<std::string>{"a", "b"},
                                      std::vector<report::BarSeries>{{"x", {-1e308, 1e308}, {}, {}}}),
                    neural_attention::ConfigError);
  BOOST_CHECK_THROW(report::line_chart({}, std::vector<Series>{{"x", {{-1e308, 1}, {1e308, 2}}, {}, {}}}),
                    neural_attention::ConfigError);
  const auto at = [](double x) { return report::line_chart({}, std::vector<Series>{{"x", {{x, 1}}, {}, {}}}); };
  for (const double x : {0.0, 1e20, -1e300}) BOOST_TEST(count(at(x), "nan") == 0u, x);
  BOOST_TEST(report::log_ticks(denormal, 1e-300, 5).size() <= 20u);
  BOOST_TEST(std::isfinite(report::round_step(denormal, 5)));
}

BOOST_AUTO_TEST_CASE(an_empty_series_beside_a_full_one_is_left_out) {
  const std::vector<Series> series{{"empty", {}, {}, {}}, falling("full", 5)};
  const std::string svg = report::line_chart({}, series);
  BOOST_TEST(fault(svg) == "");
  BOOST_TEST(count(svg, "class=\"line ") == 1u);
  BOOST_TEST(count(svg, ">empty<") == 0u);
}

BOOST_AUTO_TEST_CASE(nothing_to_draw_and_wrong_sizes_are_refused) {
  using neural_attention::ConfigError;
  using neural_attention::ShapeError;
  BOOST_CHECK_THROW(report::line_chart({}, {}), ConfigError);
  BOOST_CHECK_THROW(report::line_chart({}, std::vector<Series>{{"empty", {}, {}, {}}}), ConfigError);
  BOOST_CHECK_THROW(report::line_chart({}, std::vector<Series>{{"nan", {{0, nan_value}}, {}, {}}}), ConfigError);
  BOOST_CHECK_THROW(report::line_chart({.log_y = true}, std::vector<Series>{{"negative", {{0, -1}, {1, 0}}, {}, {}}}),
                    ConfigError);
  BOOST_CHECK_THROW(report::line_chart({.width = 10}, std::vector<Series>{falling("x", 3)}), ConfigError);
  BOOST_CHECK_THROW(report::line_chart({.y_min = 2, .y_max = 1}, std::vector<Series>{falling("x", 3)}), ConfigError);
  BOOST_CHECK_THROW(report::line_chart({}, std::vector<Series>{{"band", {{0, 1}, {1, 2}}, {0.5}, {1.5}}}), ShapeError);
  const std::vector<std::string> categories{"a", "b"};
  BOOST_CHECK_THROW(report::bar_chart({}, categories, {}), ConfigError);
  BOOST_CHECK_THROW(report::bar_chart({}, categories, std::vector<report::BarSeries>{{"x", {1}}}), ShapeError);
  BOOST_CHECK_THROW(report::bar_chart({}, categories, std::vector<report::BarSeries>{{"x", {nan_value, nan_value}}}),
                    ConfigError);
  BOOST_CHECK_THROW(report::bar_chart({.log_y = true}, categories, std::vector<report::BarSeries>{{"x", {1, 2}}}),
                    ConfigError);
}

BOOST_AUTO_TEST_CASE(text_is_escaped) {
  const std::vector<Series> series{{"a<b & \"c\" 'd'\x01\xFF größer", {{0, 1}, {1, 2}}, {}, {}}};
  const std::string svg = report::line_chart({.title = "<script>&amp;", .x_label = "x > y", .y_label = "]]>"}, series);
  BOOST_TEST(fault(svg) == "");
  BOOST_TEST(svg.find("<script>") == std::string::npos);
  BOOST_TEST(count(svg, "&lt;script&gt;&amp;amp;") == 2u);
  BOOST_TEST(svg.find("a&lt;b &amp; &quot;c&quot; &apos;d&apos; ? größer") != std::string::npos);
  BOOST_TEST(report::escaped("\xED\xA0\x80|\xF4\x90\x80\x80|\xC0\x80|\xEF\xBF\xBF") == "???|????|??|???");
}

BOOST_AUTO_TEST_CASE(bars_have_heights_to_scale_and_labels) {
  const std::vector<std::string> categories{"grammar", "captions"};
  const std::vector<report::BarSeries> series{{"linear", {40, 80}, {38, 79}, {41, 82}}, {"neural", {20, nan_value}}};
  const std::string svg = report::bar_chart({.title = "BLEU"}, categories, series);
  BOOST_TEST(fault(svg) == "");
  std::vector<double> heights;
  for (auto at = svg.find(" x=\""); at != std::string::npos;) {
    const auto rect = svg.rfind('<', at);
    if (svg.compare(rect, 13, "<rect class=\"") == 0) heights.push_back(std::stod(attribute(svg, rect, "height")));
    at = svg.find(" x=\"", at + 1);
  }
  BOOST_REQUIRE(heights.size() == 3u);
  BOOST_TEST(heights[0] == 2 * heights[1], boost::test_tools::tolerance(1e-3));
  BOOST_TEST(heights[2] == 2 * heights[0], boost::test_tools::tolerance(1e-3));
  BOOST_TEST(count(svg, "class=\"whisker\"") == 6u);
  BOOST_TEST(count(svg, ">n/a<") == 1u);
  BOOST_TEST(count(svg, ">captions<") == 1u);
  BOOST_TEST(count(svg, ">neural<") == 1u);
  const std::string negative = report::bar_chart({}, categories, std::vector<report::BarSeries>{{"change", {-2, 3}}});
  BOOST_TEST(fault(negative) == "");
  BOOST_TEST(count(negative, "height=\"-") == 0u);
}

BOOST_AUTO_TEST_CASE(ticks_are_round_and_inside) {
  const auto ticks = report::linear_ticks(0, 97, 5);
  BOOST_REQUIRE(ticks.size() == 5u);
  BOOST_TEST(ticks[1].at == 20.0);
  BOOST_TEST(ticks[4].label == "80");
  const auto fine = report::linear_ticks(-0.1, 0.1, 4);
  BOOST_REQUIRE(fine.size() == 5u);
  BOOST_TEST(fine[0].label == "-0.10");
  BOOST_TEST(fine[2].label == "0.00");
  const auto large = report::linear_ticks(0, 3e6, 3);
  BOOST_REQUIRE(large.size() == 4u);
  BOOST_TEST(large[1].label == "1M");
  const auto decades = report::log_ticks(0.5, 2e5, 6);
  BOOST_REQUIRE(decades.size() == 6u);
  BOOST_TEST(decades[0].label == "1");
  BOOST_TEST(decades[5].label == "100k");
  BOOST_TEST(report::label_text(0.00012) == "1.2e-4");
  BOOST_TEST(report::label_text(88.714) == "88.7");
  BOOST_TEST(report::label_text(12345) == "12.3k");
  BOOST_TEST(report::pixels(-0.001) == "0");
}

BOOST_AUTO_TEST_CASE(end_labels_do_not_overlap) {
  std::vector<Series> series;
  for (int s = 0; s < 8; ++s) series.push_back({"s" + std::to_string(s), {{0, 0}, {1, 1 + 0.001 * s}}, {}, {}});
  const std::string svg = report::line_chart({}, series);
  BOOST_TEST(fault(svg) == "");
  std::vector<double> heights;
  for (int s = 0; s < 8; ++s) {
    const auto name = svg.find(">s" + std::to_string(s) + "</text>");
    BOOST_REQUIRE(name != std::string::npos);
    heights.push_back(std::stod(attribute(svg, svg.rfind("<text", name), "y")));
  }
  std::sort(heights.begin(), heights.end());
  for (std::size_t i = 1; i < heights.size(); ++i) BOOST_TEST(heights[i] - heights[i - 1] > 14.9);
  BOOST_TEST((heights.front() > 0 && heights.back() < 420));
}

BOOST_AUTO_TEST_CASE(long_series_stay_small_and_keep_their_extremes) {
  Series noise{"noise", {}, {}, {}};
  for (int i = 0; i < 200000; ++i) noise.points.push_back({double(i), std::sin(i * 0.37)});
  noise.points[123456].y = 9;
  const std::string svg = report::line_chart({}, std::vector<Series>{noise});
  BOOST_TEST(svg.size() < 120000u);
  const auto points = path_points(svg, "line");
  const auto top =
      std::min_element(points.begin(), points.end(), [](const auto& a, const auto& b) { return a.y < b.y; });
  BOOST_TEST(top->y < points[0].y - 100);
}
