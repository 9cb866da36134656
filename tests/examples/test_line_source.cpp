// Lines that come in pieces: what counts towards the longest line, and when a line is here.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE line_source
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "common/line_source.hpp"

using examples::LineSource;

namespace {

/// Standard input that receives what a test gives it, until this is destroyed.
class Input {
 public:
  Input() : before_(dup(0)) {
    BOOST_REQUIRE(pipe(ends_.data()) == 0);
    BOOST_REQUIRE(dup2(ends_[0], 0) == 0);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input() {
    end();
    close(ends_[0]);
    dup2(before_, 0);
    close(before_);
  }

  void give(std::string_view bytes) {
    BOOST_TEST_REQUIRE(write(ends_[1], bytes.data(), bytes.size()) == std::ssize(bytes));
  }
  void end() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  int before_;
  std::array<int, 2> ends_{-1, -1};
};

constexpr std::size_t at_once = 1 << 12;  // a pipe holds it

const std::string mark = "\xEF\xBB\xBF", longest(LineSource::longest, 'x');

/// The first line of an input that begins with `beginning`, all of which is read before "\n" and a second line come.
LineSource::Line first_line(const std::string& beginning) {
  Input input;
  auto source = LineSource::standard_input();
  std::string_view rest = beginning;
  bool given = false;
  const auto more = [&] {
    if (rest.empty()) {
      input.give("\nsecond");
      input.end();
      given = true;
    } else {
      input.give(rest.substr(0, at_once));
      rest.remove_prefix(std::min(at_once, rest.size()));
    }
  };
  LineSource::Line first, second;
  BOOST_TEST(source.next(first, 0.0, more));
  BOOST_TEST(given);
  BOOST_TEST((source.next(second) && second.text == "second" && second.problem.empty()));
  BOOST_TEST(!source.next(second));
  return first;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(long_lines)

BOOST_AUTO_TEST_CASE(do_not_count_a_mark_and_a_carriage_return) {
  for (const auto& before : {std::string(), mark})
    for (const auto* after : {"", "\r"}) {
      const auto line = first_line(before + longest + after);
      BOOST_TEST(line.problem == "");
      BOOST_TEST((line.text == longest));
    }
}

BOOST_AUTO_TEST_CASE(are_refused_and_the_next_one_is_read) {
  for (const auto& beginning : {longest + "x", longest + "x\r", mark + longest + "x", longest + longest}) {
    const auto line = first_line(beginning);
    BOOST_TEST(line.problem.find("line 1: is longer than 1048576 bytes") != std::string::npos);
    BOOST_TEST(line.text == "");
  }
}

BOOST_AUTO_TEST_CASE(are_ready_when_their_end_is_here) {
  Input input;
  auto source = LineSource::standard_input();
  const std::string beginning = mark + longest + "\r";
  for (std::string_view rest = beginning; !rest.empty(); rest.remove_prefix(std::min(at_once, rest.size()))) {
    input.give(rest.substr(0, at_once));
    BOOST_TEST_REQUIRE(!source.ready());
  }
  input.give("\n");
  BOOST_TEST(source.ready());
  LineSource::Line line;
  BOOST_TEST((source.next(line) && line.text == longest));
}

BOOST_AUTO_TEST_SUITE_END()
