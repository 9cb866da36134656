// Numbers of things in sentences.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_counted
#include <boost/test/unit_test.hpp>
#include <cstddef>

#include "neural_attention/core/counted.hpp"

namespace na = neural_attention;

BOOST_AUTO_TEST_SUITE(things)

BOOST_AUTO_TEST_CASE(are_counted_in_singular_and_plural) {
  BOOST_TEST(na::counted(0, "run") == "0 runs");
  BOOST_TEST(na::counted(1, "run") == "1 run");
  BOOST_TEST(na::counted(std::size_t{2}, "line") == "2 lines");
  BOOST_TEST(na::counted(2000L, "whole number") == "2,000 whole numbers");
  BOOST_TEST(na::counted(-1, "step") == "-1 steps");
}

BOOST_AUTO_TEST_SUITE_END()
