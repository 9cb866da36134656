// Number formats, column widths, the progress line and what it writes to a file.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE progress
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <string>

#include "common/progress.hpp"
#include "common/table.hpp"

using namespace examples;

namespace {

/// What `write` puts into a file (which is no terminal).
template <class Write>
std::string written(Write write) {
  std::FILE* file = std::tmpfile();
  BOOST_REQUIRE(file != nullptr);
  try {
    write(file);
  } catch (const std::runtime_error&) {
  }
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

}  // namespace

BOOST_AUTO_TEST_CASE(numbers_are_readable) {
  BOOST_TEST(with_commas(0) == "0");
  BOOST_TEST(with_commas(999) == "999");
  BOOST_TEST(with_commas(1000) == "1,000");
  BOOST_TEST(with_commas(-1234567) == "-1,234,567");
  BOOST_TEST(with_commas(std::numeric_limits<std::int64_t>::min()) == "-9,223,372,036,854,775,808");
  BOOST_TEST(compact(999) == "999");
  BOOST_TEST(compact(999.7) == "1.00 k");
  BOOST_TEST(compact(12345) == "12.3 k");
  BOOST_TEST(compact(2.5e6) == "2.50 M");
  BOOST_TEST(compact(-12345) == "-12.3 k");
  BOOST_TEST(fixed(3.14159) == "3.14");
  BOOST_TEST(fixed(std::numeric_limits<double>::quiet_NaN()) == "nan");
  BOOST_TEST(clock_time(7.2) == "0:07");
  BOOST_TEST(clock_time(59.7) == "1:00");
  BOOST_TEST(clock_time(5025) == "1:23:45");
  BOOST_TEST(clock_time(2 * 86400 + 3661) == "2d 01:01:01");
  BOOST_TEST(clock_time(std::numeric_limits<double>::infinity()) == "-:--");
}

BOOST_AUTO_TEST_CASE(widths_count_letters_not_bytes) {
  BOOST_TEST(display_width("größer") == 6u);
  BOOST_TEST(display_width("u\xCC\x88"
                           "ber") == 4u);  // a combining diaeresis
  BOOST_TEST(padded("größer", 8, Align::right) == "  größer");
  BOOST_TEST(cut_to_width("Übergröße", 5) == "Über…");
  BOOST_TEST(cut_to_width("Über", 4) == "Über");
  Table table({"projector", "BLEU"}, {Align::left, Align::right});
  table.add({"größer", "61.2"});
  table.add({"x"});
  BOOST_TEST(table.text() == "projector  BLEU\n─────────  ────\ngrößer     61.2\nx\n");
  BOOST_CHECK_THROW(table.add({"a", "b", "c"}), neural_attention::ShapeError);
  BOOST_CHECK_THROW(Table({}), neural_attention::ConfigError);
}

BOOST_AUTO_TEST_CASE(the_line_fits_every_width) {
  const std::string unused = written([](std::FILE* file) {
    Progress progress(1000, "neural", file);
    progress.update(500, {{"loss", "2.31"}, {"lr", "4.5e-04"}});
    const std::string wide = progress.line(100, {.bar = true});
    BOOST_TEST(display_width(wide) <= 100u);
    BOOST_TEST(wide.find("  500/1,000") != std::string::npos);
    BOOST_TEST(wide.find("━━━━━━━━━━━━━━━───────────────") != std::string::npos);  // half of thirty cells
    BOOST_TEST(wide.find("loss 2.31  lr 4.5e-04") != std::string::npos);
    for (std::size_t width = 0; width < 120; ++width)
      BOOST_TEST(display_width(progress.line(width, {.bar = true})) <= width);
  });
  BOOST_TEST(!unused.empty());
}

BOOST_AUTO_TEST_CASE(a_file_gets_plain_lines_now_and_then) {
  const std::string text = written([](std::FILE* file) {
    Progress progress(1000, "linear", file, 3600);
    for (int step = 1; step <= 1000; ++step) progress.update(step, {{"loss", "1.0"}});
    progress.message("a note");
    progress.finish();
    progress.finish("twice");
    progress.update(7);
  });
  BOOST_TEST(std::count(text.begin(), text.end(), '\n') == 3);  // the first step, the note, the end
  BOOST_TEST(text.find('\x1b') == std::string::npos);
  BOOST_TEST(text.find('\r') == std::string::npos);
  BOOST_TEST(text.find("\na note\n") != std::string::npos);
  BOOST_TEST(text.find("1,000/1,000") != std::string::npos);
  const std::string message = written([](std::FILE* file) { Progress(5, "x", file).finish("all done"); });
  BOOST_TEST(message == "all done\n");
}

BOOST_AUTO_TEST_CASE(an_exception_leaves_a_whole_line) {
  const std::string text = written([](std::FILE* file) {
    Progress progress(10, "x", file, 3600);
    progress.update(1);
    progress.update(4);
    throw std::runtime_error("stop");
  });
  BOOST_TEST(text.find("4/10") != std::string::npos);
  BOOST_TEST(text.back() == '\n');
}
