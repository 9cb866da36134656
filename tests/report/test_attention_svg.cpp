// Attention maps: every cell is drawn once, with its value, in well-formed XML; long sentences stay bounded.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE attention_svg
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "neural_attention/report/attention_svg.hpp"
#include "report/xml.hpp"

namespace na = neural_attention;
namespace report = neural_attention::report;
using Pieces = std::vector<std::string>;

namespace {

const Pieces sources = {"▁Ein", "▁Hund", "</s>"}, targets = {"▁a", "</s>"};
const std::vector<report::AttentionPanel> heads = {{"head 0", {0.5f, 0.25f, 0.25f, 0.0f, 0.125f, 0.875f}},
                                                   {"head 1", {1.0f, 0.0f, 0.0f, 0.0f, 0.625f, 0.375f}}};

double width_of(const std::string& svg) { return std::stod(svg.substr(svg.find("width=\"") + 7)); }
double height_of(const std::string& svg) { return std::stod(svg.substr(svg.find("height=\"") + 8)); }

}  // namespace

BOOST_AUTO_TEST_CASE(every_cell_says_what_it_is) {
  const auto svg = report::attention_map({"Cross-attention"}, sources, targets, heads);
  BOOST_TEST(fault(svg) == "");
  BOOST_TEST(count(svg, "<g class=\"panel\"") == 3u);  // the mean and two heads
  BOOST_TEST(count(svg, "<title>") == 1u + 3u * 6u);
  BOOST_TEST(count(svg, ">mean of 2 heads</text>") == 1u);
  BOOST_TEST(count(svg, ">head 1</text>") == 1u);
  BOOST_TEST(count(svg, ">▁Hund</text>") == 3u);
  BOOST_TEST(count(svg, ">&lt;/s&gt;</text>") == 6u);  // of either side
  BOOST_TEST(count(svg, "fill-opacity=\"0.12\"><title>&lt;/s&gt; ← ▁Hund: 0.125</title>") == 1u);
  BOOST_TEST(count(svg,
                   "<rect x=\"0\" y=\"0\" width=\"1\" height=\"1\" fill-opacity=\"0.75\"><title>▁a ← ▁Ein: 0.750"
                   "</title>") == 1u);  // the mean of 0.5 and 1
  BOOST_TEST(count(svg,
                   "<rect x=\"2\" y=\"1\" width=\"1\" height=\"1\" fill-opacity=\"0.62\"><title>&lt;/s&gt; ← "
                   "&lt;/s&gt;: 0.625</title>") == 1u);
  BOOST_TEST(count(svg, "prefers-color-scheme:dark") == 1u);
}

BOOST_AUTO_TEST_CASE(one_head_has_no_mean_and_options_hold) {
  BOOST_TEST(count(report::attention_map({}, sources, targets, {&heads[0], 1}), "class=\"panel\"") == 1u);
  report::AttentionMapOptions options;
  options.mean = false;
  options.columns = 1;
  const auto narrow = report::attention_map(options, sources, targets, heads);
  BOOST_TEST(count(narrow, "class=\"panel\"") == 2u);
  options.columns = 2;
  const auto wide = report::attention_map(options, sources, targets, heads);
  BOOST_TEST(height_of(narrow) > height_of(wide));
}

BOOST_AUTO_TEST_CASE(hostile_pieces_do_not_break_the_picture) {
  const Pieces hostile = {"<script>", "a&\"b'", "\xFF\x01", ""};
  const std::vector<report::AttentionPanel> panel = {{"x<y", std::vector<float>(16, 0.25f)}};
  const auto svg = report::attention_map({"a < b & c"}, hostile, hostile, panel);
  BOOST_TEST(fault(svg) == "");
  BOOST_TEST(count(svg, "<title>") == 17u);
  BOOST_TEST(count(svg, "<script") == 0u);
}

BOOST_AUTO_TEST_CASE(long_sentences_are_cut_and_the_picture_says_so) {
  const Pieces many(500, "▁Donaudampfschifffahrtsgesellschaft"), few(20, "▁x");
  const std::vector<report::AttentionPanel> eight(8, {"head", std::vector<float>(500 * 20, 1.0f / 500)});
  const auto svg = report::attention_map({}, many, few, eight);
  BOOST_TEST(fault(svg) == "");
  BOOST_TEST(count(svg, "<title>") == 1u + 9u * 48u * 20u);
  BOOST_TEST(count(svg, "Drawn are the first 20 of 20 and 48 of 500.") == 1u);
  BOOST_TEST(count(svg, ">▁Donaudampfsch…</text>") == 9u * 48u);
  BOOST_TEST(width_of(svg) < 2500.0);
  BOOST_TEST(height_of(svg) < 2500.0);
  BOOST_TEST(svg.size() < 3'000'000u);
}

BOOST_AUTO_TEST_CASE(what_is_no_map_is_refused) {
  const auto draw = [](const Pieces& s, const Pieces& t, const std::vector<report::AttentionPanel>& p) {
    return report::attention_map({}, s, t, p);
  };
  BOOST_CHECK_THROW(draw({}, targets, heads), na::ConfigError);
  BOOST_CHECK_THROW(draw(sources, {}, heads), na::ConfigError);
  BOOST_CHECK_THROW(draw(sources, targets, {}), na::ConfigError);
  BOOST_CHECK_THROW(draw(sources, sources, heads), na::ShapeError);
  for (const float wrong : {-0.5f, 1.5f, std::numeric_limits<float>::quiet_NaN()})
    BOOST_CHECK_THROW(draw({"a"}, {"b"}, {{"head", {wrong}}}), na::NumericError);
  report::AttentionMapOptions options;
  options.columns = 0;
  BOOST_CHECK_THROW(report::attention_map(options, sources, targets, heads), na::ConfigError);
}
