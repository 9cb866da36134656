// The table of costs in docs/projectors.md says what the types say; its last column is measured. With
// NEURAL_ATTENTION_UPDATE_PAGES=1, as the target projectors-page sets it, the other columns are written instead.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE projectors_page
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "docs/documents.hpp"
#include "projector_costs.hpp"

using namespace bench;

BOOST_AUTO_TEST_SUITE(costs)

BOOST_AUTO_TEST_CASE(are_those_of_the_types) {
  const auto path = documents::source_folder() / "docs/projectors.md";
  const auto page = documents::text_of(path);
  const auto steps = measured_steps(page);
  const auto table = costs_table(projector_costs(512), steps);
  if (std::getenv("NEURAL_ATTENTION_UPDATE_PAGES")) std::ofstream(path, std::ios::binary) << with_table(page, table);
  BOOST_TEST((documents::text_of(path).find("\n" + table + "\n") != std::string::npos),
             "docs/projectors.md should have the table\n"
                 << table << "If the types are right: cmake --build build/test --target projectors-page");
  const std::set<std::string> not_in_all_roles{"centred_conv_linear", "joint_qkv"};
  for (const auto& [name, step] : steps)
    BOOST_TEST(
        (not_in_all_roles.contains(name) ? step == "–" : std::regex_match(step, std::regex("[0-9]+\\.[0-9]{2}"))),
        name << ": " << step);
  if (steps.contains("linear")) BOOST_TEST(steps.at("linear") == "1.00");
}

BOOST_AUTO_TEST_CASE(are_counted) {
  const auto costs = projector_costs(512);
  const auto of = [&](const std::string& name) {
    for (const auto& cost : costs)
      if (cost.name == name) return cost;
    throw std::runtime_error("no projector " + name);
  };
  BOOST_TEST(of("linear").parameters == 512 * 512 + 512);
  BOOST_TEST(of("linear").hidden == 0);
  BOOST_TEST(of("identity").parameters == 0);
  BOOST_TEST(of("neural").hidden == 1024);
  BOOST_TEST(of("neural").parameters == 2 * 512 * 1024 + 1024 + 2 * 1024 + 512);
  BOOST_TEST(of("neural").multiply_adds == 2 * 512 * 1024);
  BOOST_TEST(of("nonlinear_query").parameters == 2 * 512 * 256 + 2 * 512);
  BOOST_TEST(of("gated_silu").hidden == 171);
}

// What was measured stays where the other columns are written anew.
BOOST_AUTO_TEST_CASE(keep_what_was_measured) {
  const std::vector<ProjectorCost> costs = {{"linear", 0, 12, 9}, {"neural", 6, 1'234'567, 36}};
  const MeasuredSteps steps = {{"neural", "1.75"}};
  const auto table = costs_table(costs, steps);
  BOOST_TEST(table.ends_with("| `linear` |  | 12 | 9 |  |\n| `neural` | 6 | 1,234,567 | 36 | 1.75 |\n"));
  const auto page = "before\n\n" + table + "\nbehind\n";
  BOOST_TEST((measured_steps(page) == steps));
  BOOST_TEST(with_table(page, table) == page);
  BOOST_CHECK_THROW(with_table("no table", table), std::runtime_error);
}

BOOST_AUTO_TEST_SUITE_END()
