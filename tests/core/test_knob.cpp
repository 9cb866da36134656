// Knobs: one list of a config's settings, walked with any number of configs; ranges and what is said of them.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_knob
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "neural_attention/core/knob.hpp"

using namespace neural_attention;

namespace {

struct Config {
  int layers = 2;
  double dropout = 0.1;
  bool fast = false;
  std::string name = "none";

  static void knobs(auto&& use, auto&... configs) {
    use(Knob("layers", "How deep it is", from_to(1, 9)).flag("Sizes").kept(), configs.layers...);
    use(Knob("dropout", "Rate", from_below(0, 1)), configs.dropout...);
    use(Knob("fast", "Be so").flag_alone("Speed"), configs.fast...);
    use(Knob("name", "How it is called").not_of_hugging_face(), configs.name...);
  }
};

std::string fault(const Config& config) {
  try {
    require_ranges(config);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(knobs)

BOOST_AUTO_TEST_CASE(are_walked_without_a_config_with_one_and_with_several_side_by_side) {
  std::vector<std::string> names;
  Config::knobs([&](const Knob& knob) { names.emplace_back(knob.name); });
  BOOST_TEST(names == (std::vector<std::string>{"layers", "dropout", "fast", "name"}),
             boost::test_tools::per_element());

  const Config from{.layers = 7, .name = "other"};
  Config to;
  Config::knobs(
      [](const Knob& knob, const auto& given, auto& value) {
        if (knob.in_file) value = given;
      },
      from, to);
  BOOST_TEST(to.layers == 7);
  BOOST_TEST(to.name == "other");
}

BOOST_AUTO_TEST_CASE(say_what_they_are_for) {
  Config::knobs([](const Knob& knob) {
    const std::string name = knob.name;
    BOOST_TEST((knob.group != nullptr) == (name == "layers" || name == "fast"));
    BOOST_TEST(knob.in_file == (name != "fast"));
    BOOST_TEST(knob.defines_the_run == (name == "layers"));
    BOOST_TEST(knob.own == (name == "name"));
    BOOST_TEST(!knob.token);
  });
  BOOST_TEST(token_knob("pad_token_id", "").token);
}

BOOST_AUTO_TEST_CASE(name_the_first_value_that_makes_no_sense_and_the_bound_that_it_breaks) {
  BOOST_TEST(fault({}) == "");
  BOOST_TEST(fault({.layers = 0}) == "layers must be at least 1, not 0");
  BOOST_TEST(fault({.layers = 10, .dropout = 2}) == "layers must be at most 9, not 10");
  BOOST_TEST(fault({.dropout = 1}) == "dropout must be below 1, not 1");
  BOOST_TEST(fault({.dropout = -0.5}) == "dropout must be at least 0, not -0.5");
  BOOST_TEST(fault({.dropout = std::nan("")}) == "dropout must be at least 0 and below 1, not nan");
  BOOST_TEST(fault_of(Knob("decay", ""), double(INFINITY)) == "decay must be finite, not inf");
}

BOOST_AUTO_TEST_SUITE_END()
