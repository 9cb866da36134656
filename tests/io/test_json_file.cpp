// JSON files: what is read, what is refused and in which words, and that nothing converts silently.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE json_file
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <limits>
#include <vector>

#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/json_lines.hpp"
#include "scratch.hpp"

using namespace neural_attention::io;
using neural_attention::FileError;
using nlohmann::json;

namespace {

json read_text(const std::string& text) {
  const Scratch scratch;
  put(scratch / "config.json", text);
  return read_json(scratch / "config.json");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reading)

BOOST_AUTO_TEST_CASE(a_good_file) {
  const auto value = read_text("\xEF\xBB\xBF{\"a\": [1, 2.5, null, {\"a\": \"\u00e4\"}], \"b\": true}\n");
  BOOST_TEST(value["a"][1].get<double>() == 2.5);
  BOOST_TEST(value["a"][3]["a"].get<std::string>() == "\u00e4");
}

BOOST_AUTO_TEST_CASE(faults_name_file_line_column_and_byte) {
  BOOST_CHECK_EXCEPTION(read_text("{\n  \"a\": 1,\n  \"b\": ]\n}\n"), FileError,
                        says({"config.json", "line 3, column 8 (byte 20)", "unexpected ']'"}));
  BOOST_CHECK_EXCEPTION(read_text("{\"a\": 1"), FileError, says({"line 1", "unexpected end of input"}));
  BOOST_CHECK_EXCEPTION(read_text("{} {}"), FileError, says({"line 1, column 4"}));
  BOOST_CHECK_EXCEPTION(read_text("{\"a\": NaN}"), FileError, says({"line 1, column 7", "invalid literal"}));
  BOOST_CHECK_EXCEPTION(read_text(""), FileError, says({"is empty"}));
  BOOST_CHECK_EXCEPTION(read_text(" \n\t"), FileError, says({"is empty"}));
  BOOST_CHECK_EXCEPTION(read_text("{\"a\": \"\xff\"}"), FileError, says({"line 1", "UTF-8"}));
  BOOST_CHECK_EXCEPTION(read_text(std::string("{}\0 rest", 8)), FileError, says({"byte 3", "zero byte"}));
  BOOST_CHECK_EXCEPTION(read_text("[1e999]"), FileError, says({"not valid JSON", "1e999"}));
}

BOOST_AUTO_TEST_CASE(messages_stay_short) {
  for (const auto& text : {"[\"" + std::string(1'000'000, 'x'), "{\"" + std::string(1'000'000, 'x') + "\": tru}",
                           "[" + std::string(1'000'000, '9') + "]"}) {
    try {
      read_text(text);
      BOOST_ERROR("accepted");
    } catch (const FileError& error) {
      BOOST_TEST(std::string_view(error.what()).size() < 600u);
    }
  }
}

BOOST_AUTO_TEST_CASE(repeated_keys) {
  BOOST_CHECK_EXCEPTION(read_text(R"({"x": {"a": 1, "b": {"a": 2}, "a": 3}})"), FileError,
                        says({"config.json", "\"a\" twice"}));
  BOOST_CHECK_NO_THROW(read_text(R"([{"a": 1, "b": {"a": 2}}, {"a": 3}])"));
}

BOOST_AUTO_TEST_CASE(nesting_is_bounded) {
  BOOST_CHECK_NO_THROW(read_text(std::string(64, '[') + std::string(64, ']')));
  BOOST_CHECK_EXCEPTION(read_text(std::string(65, '[') + std::string(65, ']')), FileError,
                        says({"nested more than 64"}));
  BOOST_CHECK_EXCEPTION(read_text(std::string(1'000'000, '[')), FileError, says({"nested more than 64"}));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  BOOST_CHECK_EXCEPTION(read_text(objects), FileError, says({"nested more than 64"}));
}

// nlohmann's parser with a callback takes a time that grows with the square of a list: an hour for this one.
BOOST_AUTO_TEST_CASE(a_long_list_takes_linear_time) {
  constexpr std::size_t count = 2'000'000;
  std::string text = "[{}";
  for (std::size_t i = 1; i < count; ++i) text += ",{}";
  BOOST_TEST(parse_json(text + "]", "a.json").size() == count);
  BOOST_TEST(parse_json<nlohmann::ordered_json>(text + "]", "a.json").size() == count);
  std::string members = "{\"0\":{}";
  for (std::size_t i = 1; i < 100'000; ++i) members += ",\"" + std::to_string(i) + "\":{}";
  BOOST_TEST(parse_json<nlohmann::ordered_json>(members + "}", "a.json").size() == 100'000u);
}

BOOST_AUTO_TEST_CASE(the_number_of_values_is_bounded) {
  std::string text = "[0";
  text.reserve(2 * most_json_values + 2);
  for (std::size_t i = 1; i < most_json_values; ++i) text += ",0";
  BOOST_CHECK_EXCEPTION(parse_json(text + "]", "a.json"), FileError, says({"a.json", "more than 10000000 values"}));
}

BOOST_AUTO_TEST_CASE(an_ordered_value_keeps_its_order) {
  const auto value = parse_json<nlohmann::ordered_json>(R"({"b": {"z": 1, "a": [2]}, "a": -3, "c": "x"})", "a.json");
  BOOST_TEST(value.dump() == R"({"b":{"z":1,"a":[2]},"a":-3,"c":"x"})");
  BOOST_CHECK_EXCEPTION(parse_json<nlohmann::ordered_json>(R"({"b": 1, "a": {"b": 2}, "b": 3})", "a.json"), FileError,
                        says({"\"b\" twice"}));
}

BOOST_AUTO_TEST_CASE(what_steers_a_terminal_is_spelled) {
  BOOST_TEST(neural_attention::in_quotes("a\x1b[31m\u009b\x7f\n\u202e\xff\u00e4") ==
             "\"a\\x1B[31m\\xC2\\x9B\\x7F\\x0A\\xE2\\x80\\xAE\\xFF\u00e4\"");
  BOOST_TEST(neural_attention::in_quotes("a\x1b[31m", 2) == "\"a\\x1B…\"");
  BOOST_TEST(neural_attention::in_quotes("\u00e4\u00e4\u00e4", 5) == "\"\u00e4\u00e4…\"");
  BOOST_TEST(neural_attention::in_quotes("\u00e4\u00e4\u00e4", 6) == "\"\u00e4\u00e4\u00e4\"");
}

// Anything that is read through a MappedFile: weights, SentencePiece models and JSON alike.
BOOST_AUTO_TEST_CASE(a_pointer_of_git_lfs_is_recognised) {
  BOOST_CHECK_EXCEPTION(read_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
                        FileError, says({"config.json", "Git LFS", "'git lfs pull'"}));
}

BOOST_AUTO_TEST_CASE(size_is_bounded_before_reading) {
  const Scratch scratch;
  put(scratch / "a.json", "[1,2,3,4,5]");
  BOOST_CHECK_EXCEPTION(read_json(scratch / "a.json", 10), FileError, says({"a.json", "11 bytes", "at most 10"}));
  BOOST_CHECK_NO_THROW(read_json(scratch / "a.json", 11));
  put(scratch / "huge.json", "[]");
  std::filesystem::resize_file(scratch / "huge.json", 200'000'000);  // sparse
  BOOST_CHECK_EXCEPTION(read_json(scratch / "huge.json"), FileError, says({"huge.json", "200000000 bytes"}));
  BOOST_CHECK_EXCEPTION(read_json(scratch / "none.json"), FileError, says({"none.json", "No such file"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(writing)

BOOST_AUTO_TEST_CASE(indented_with_a_newline) {
  const Scratch scratch;
  const json value = {{"b", {1, 2}}, {"a", "\u00e4"}, {"c", 0.1}};
  write_json(scratch / "a.json", value);
  BOOST_TEST(contents(scratch / "a.json") ==
             "{\n  \"a\": \"\u00e4\",\n  \"b\": [\n    1,\n    2\n  ],\n  \"c\": 0.1\n}\n");
  BOOST_TEST((read_json(scratch / "a.json") == value));
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_CASE(numbers_come_back_exactly) {
  const Scratch scratch;
  const json value = {0.1, 1e-320, -1.7976931348623157e308, 1.0 / 3, 18446744073709551615u, INT64_MIN};
  write_json(scratch / "a.json", value);
  const auto back = read_json(scratch / "a.json");
  BOOST_REQUIRE(back.size() == 6u);
  for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(back[i].get<double>() == value[i].get<double>());
  BOOST_TEST((back == value));
}

BOOST_AUTO_TEST_CASE(numbers_that_are_not_finite_come_back) {
  const Scratch scratch;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const json value = {{"a", infinity}, {"b", {-infinity, 1.5}}, {"c", std::nan("")}};
  write_json(scratch / "a.json", value);
  const auto back = read_json(scratch / "a.json");
  BOOST_TEST(back.dump() == R"({"a":"Infinity","b":["-Infinity",1.5],"c":"NaN"})");
  BOOST_TEST(get<double>(back, "a", "a.json") == infinity);
  BOOST_TEST(get<float>(back, "a", "a.json") == std::numeric_limits<float>::infinity());
  BOOST_TEST((get<std::vector<double>>(back, "b", "a.json") == std::vector<double>{-infinity, 1.5}));
  BOOST_TEST(std::isnan(get<double>(back, "c", "a.json")));
  BOOST_TEST(json_text(nlohmann::ordered_json{{"b", -infinity}, {"a", 1}}, "a.json") == R"({"b":"-Infinity","a":1})");
}

BOOST_AUTO_TEST_CASE(failures_leave_the_old_file) {
  const Scratch scratch;
  write_json(scratch / "a.json", {1});
  BOOST_CHECK_EXCEPTION(write_json(scratch / "a.json", json{{"a", "\xff"}}), FileError, says({"a.json", "UTF-8"}));
  {
    const FileSizeLimit limit(100);
    BOOST_CHECK_EXCEPTION(write_json(scratch / "a.json", std::string(1000, 'x')), FileError, says({"File too large"}));
  }
  BOOST_TEST(contents(scratch / "a.json") == "[\n  1\n]\n");
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(getters)

BOOST_AUTO_TEST_CASE(values_of_the_right_type) {
  const auto value = json::parse(R"({"i": -3, "u": 18446744073709551615, "f": 0.5, "s": "x", "b": true,
                                     "l": [[1, 2], [], [3]], "n": null})");
  BOOST_TEST(get<int>(value, "i", "f.json") == -3);
  BOOST_TEST(get<std::int64_t>(value, "i", "f.json") == -3);
  BOOST_TEST(get<std::uint64_t>(value, "u", "f.json") == UINT64_MAX);
  BOOST_TEST(get<float>(value, "f", "f.json") == 0.5f);
  BOOST_TEST(get<double>(value, "i", "f.json") == -3.0);
  BOOST_TEST(get<std::string>(value, "s", "f.json") == "x");
  BOOST_TEST(get<bool>(value, "b", "f.json") == true);
  BOOST_TEST(
      (get<std::vector<std::vector<int>>>(value, "l", "f.json") == std::vector<std::vector<int>>{{1, 2}, {}, {3}}));
  BOOST_TEST(get_or<int>(value, "missing", 7, "f.json") == 7);
  BOOST_TEST(get_or<int>(value, "n", 7, "f.json") == 7);
  BOOST_TEST(get_or<int>(value, "i", 7, "f.json") == -3);
}

BOOST_AUTO_TEST_CASE(missing_and_wrong) {
  const auto value = json::parse(R"({"i": -3, "big": 3000000000, "f": 2.5, "huge": 1e300, "s": "x", "b": true,
                                     "l": [1, "2"], "n": null, "o": {}})");
  BOOST_CHECK_EXCEPTION(get<int>(value, "d_model", "f.json"), FileError, says({"f.json", "lacks", "\"d_model\""}));
  BOOST_CHECK_EXCEPTION(get<int>(value, "f", "f.json"), FileError, says({"\"f\"", "integer of 32 bits", "2.5"}));
  BOOST_CHECK_EXCEPTION(get<int>(value, "big", "f.json"), FileError, says({"\"big\"", "3000000000"}));
  BOOST_CHECK_EXCEPTION(get<unsigned>(value, "i", "f.json"), FileError, says({"non-negative", "-3"}));
  BOOST_CHECK_EXCEPTION(get<int>(value, "b", "f.json"), FileError, says({"\"b\"", "but is true"}));
  BOOST_CHECK_EXCEPTION(get<bool>(value, "i", "f.json"), FileError, says({"true or false", "-3"}));
  BOOST_CHECK_EXCEPTION(get<double>(value, "s", "f.json"), FileError, says({"a number", "the string \"x\""}));
  BOOST_CHECK_EXCEPTION(get<float>(value, "huge", "f.json"), FileError, says({"a number", "1e+300"}));
  BOOST_CHECK_EXCEPTION(get<double>(value, "n", "f.json"), FileError, says({"but is null"}));
  BOOST_CHECK_EXCEPTION(get<std::string>(value, "o", "f.json"), FileError, says({"a string", "an object"}));
  BOOST_CHECK_EXCEPTION(get<std::vector<int>>(value, "l", "f.json"), FileError, says({"a list, each", "2 elements"}));
  BOOST_CHECK_EXCEPTION(get_or<int>(value, "s", 7, "f.json"), FileError, says({"\"s\""}));
  BOOST_CHECK_EXCEPTION(get<int>(json::array(), "a", "f.json"), FileError, says({"must be a JSON object"}));
  BOOST_CHECK_EXCEPTION(get_or<int>(json(3), "a", 7, "f.json"), FileError, says({"must be a JSON object"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(lines)

namespace {

std::vector<int> rows(const std::string& text, TornLine torn) {
  const Scratch scratch;
  put(scratch / "rows.jsonl", text);
  std::vector<int> result;
  read_json_lines<nlohmann::ordered_json>(scratch / "rows.jsonl", torn, [&](const nlohmann::ordered_json& row) {
    result.push_back(get<int>(row, "a", scratch / "rows.jsonl"));
  });
  return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_row_a_line) {
  for (const auto torn : {TornLine::Refuse, TornLine::LeaveOut}) {
    BOOST_TEST((rows("{\"a\": 1}\n{\"a\": 2}\n", torn) == std::vector{1, 2}));
    BOOST_TEST((rows("{\"a\": 1}\n{\"a\": 2}", torn) == std::vector{1, 2}));
    BOOST_TEST(rows("", torn).empty());
  }
}

BOOST_AUTO_TEST_CASE(faults_name_the_line) {
  const auto refuse = TornLine::Refuse, leave_out = TornLine::LeaveOut;
  for (const auto torn : {refuse, leave_out}) {
    BOOST_CHECK_EXCEPTION(rows("{\"a\": 1}\n{\"a\": 1e300}\n", torn), neural_attention::LineError,
                          says({"rows.jsonl: line 2: the value of \"a\"", "1e+300"}));
    BOOST_CHECK_EXCEPTION(rows("{\"a\": 1}\n\n{\"a\": 2}\n", torn), neural_attention::LineError, says("line 2"));
    BOOST_CHECK_EXCEPTION(rows(std::string(200'000, '[') + "\n", torn), neural_attention::LineError,
                          says({"line 1", "nested more than 64"}));
    BOOST_CHECK_EXCEPTION(rows("{\"a\": \"" + std::string(2'000'000, 'x') + "\"}\n", torn), neural_attention::LineError,
                          says({"line 1", "longer than 1048576 bytes"}));
  }
  BOOST_CHECK_EXCEPTION(rows("{\"a\": 1}\n{\"a\"", refuse), neural_attention::LineError, says("line 2"));
  BOOST_TEST((rows("{\"a\": 1}\n{\"a\"", leave_out) == std::vector{1}));
}

BOOST_AUTO_TEST_SUITE_END()
