// The lines that `translation translate` writes.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE output_lines
#include <boost/test/unit_test.hpp>
#include <string>

#include "translation/output_lines.hpp"

using namespace examples;

BOOST_AUTO_TEST_SUITE(translations)

BOOST_AUTO_TEST_CASE(are_one_line_each) {
  const na::text::Translation translation{.candidates = {{.text = "a\nb\r\nc"}, {.text = "\n"}}};
  na::GenerationConfig how;
  BOOST_TEST(output_lines(translation, how, 1) == "a b  c\n");
  how.num_beams = how.num_return_sequences = 2;
  BOOST_TEST(output_lines(translation, how, 3) == "2 ||| a b  c ||| F0= 0 ||| 0\n2 |||   ||| F0= 0 ||| 0\n");
}

// As marian-decoder --n-best writes them. The end counts in the length, where there is one.
BOOST_AUTO_TEST_CASE(have_marians_four_fields) {
  const na::text::Translation translation{
      .candidates = {{.text = "a b c", .score = -0.5, .ids = {4, 5, 6}, .end = 0},
                     {.text = "a b c", .score = -0.75, .ids = {4, 5, 6, 7}, .end = -1},
                     {.text = "a", .score = -1.5, .ids = {4}, .end = -1},
                     {.text = "", .score = -2.5, .ids = {}, .end = 0}}};
  na::GenerationConfig how;
  how.num_beams = how.num_return_sequences = 4;
  BOOST_TEST(output_lines(translation, how, 1) ==
             "0 ||| a b c ||| F0= -2 ||| -0.5\n"
             "0 ||| a b c ||| F0= -3 ||| -0.75\n"
             "0 ||| a ||| F0= -1.5 ||| -1.5\n"
             "0 |||  ||| F0= -2.5 ||| -2.5\n");
  how.length_penalty = 0.5;
  BOOST_TEST(output_lines(translation, how, 1).starts_with("0 ||| a b c ||| F0= -1 ||| -0.5\n"));
  how.length_penalty = 0.0;
  BOOST_TEST(output_lines(translation, how, 1).starts_with("0 ||| a b c ||| F0= -0.5 ||| -0.5\n"));
}

BOOST_AUTO_TEST_SUITE_END()
