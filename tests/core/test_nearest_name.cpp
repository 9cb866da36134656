// Names that do not exist are answered with the nearest one.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_nearest_name
#include <array>
#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>

#include "neural_attention/core/nearest_name.hpp"

using namespace neural_attention;
using std::string_view;

namespace {

constexpr std::array<string_view, 6> projectors = {"linear", "neural",          "plain_neural",
                                                   "gated",  "nonlinear_query", "identity"};

}  // namespace

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(that_are_near_are_found) {
  for (const auto& [written, meant] : {std::pair<string_view, string_view>{"neurall", "neural"},
                                       {"nerual", "neural"},
                                       {"lienar", "linear"},
                                       {"plainneural", "plain_neural"},
                                       {"plain", "plain_neural"},
                                       {"nonlinear", "nonlinear_query"},
                                       {"query", "nonlinear_query"},
                                       {"ident", "identity"},
                                       {"gate", "gated"},
                                       {"nq", "nonlinear_query"},
                                       {"quadratic", ""},
                                       {"x", ""},
                                       {"", ""},
                                       {"linear", "linear"}})
    BOOST_TEST(nearest_name(written, projectors) == meant, written << ": " << nearest_name(written, projectors));
  BOOST_TEST(nearest_name("linear", {}).empty());
}

BOOST_AUTO_TEST_CASE(that_are_of_any_length_take_no_time) {
  const std::string long_name(10'000'000, 'n');
  BOOST_TEST(nearest_name(long_name, projectors).empty());
  BOOST_TEST(quoted_with_nearest(long_name, projectors).size() < 100);
}

BOOST_AUTO_TEST_CASE(are_quoted_with_the_nearest) {
  BOOST_TEST(quoted_with_nearest("neurall", projectors) == "\"neurall\" (did you mean \"neural\"?)");
  BOOST_TEST(quoted_with_nearest("cubic", projectors) == "\"cubic\"");
}

BOOST_AUTO_TEST_SUITE_END()
