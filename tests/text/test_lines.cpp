#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE lines
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "neural_attention/core/utf8.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/text/data/lines.hpp"
#include "neural_attention/text/data/load_corpus.hpp"
#include "scratch.hpp"

using namespace std::string_literals;
namespace text = neural_attention::text;
using neural_attention::FileError;
using neural_attention::LineError;
using Lines = std::vector<std::string>;

namespace {

void check_lines(const Lines& actual, const Lines& expected) {
  BOOST_TEST_REQUIRE(!expected.empty());
  BOOST_CHECK_EQUAL_COLLECTIONS(actual.begin(), actual.end(), expected.begin(), expected.end());
}

/// The definition of UTF-8 by decoding, to compare the table-driven check with.
bool decodes(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (length == 0 || i + length > bytes.size()) return false;
    unsigned value = length == 1 ? lead : lead & (0x7Fu >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto byte = static_cast<unsigned char>(bytes[i + k]);
      if (byte >> 6 != 2) return false;
      value = value << 6 | (byte & 63u);
    }
    constexpr unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(utf8)

BOOST_AUTO_TEST_CASE(accepts_and_rejects_as_a_decoder_does) {
  const std::vector<unsigned char> interesting = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
                                                  0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0,
                                                  0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFE, 0xFF};
  int valid = 0, invalid = 0, wrong = 0;
  std::string bytes(4, '\0');
  for (const auto a : interesting)
    for (const auto b : interesting)
      for (const auto c : interesting)
        for (const auto d : interesting) {
          bytes = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c), static_cast<char>(d)};
          for (std::size_t length = 1; length <= 4; ++length) {
            std::size_t bad = 99;
            const auto part = std::string_view(bytes).substr(0, length);
            const bool ok = neural_attention::valid_utf8(part, bad);
            (ok ? valid : invalid) += 1;
            if (ok != decodes(part) || (ok ? bad != length : bad >= length || !decodes(part.substr(0, bad)))) ++wrong;
          }
        }
  BOOST_TEST(valid > 1000);
  BOOST_TEST(invalid > 1000);
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(names_the_first_broken_byte) {
  const std::vector<std::pair<std::string, std::size_t>> cases = {
      {"ab\xC3", 2},           {"\x80", 0},       {"\u00E4\xC0\xAF", 2}, {"x\xED\xA0\x80", 1}, {"\xF4\x90\x80\x80", 0},
      {"\xF0\x8F\xBF\xBF", 0}, {"\xE2\x82 a", 0}, {"\U0001F600\xFF", 4}};
  for (const auto& [bytes, offset] : cases) {
    std::size_t bad = 99;
    BOOST_TEST(!neural_attention::valid_utf8(bytes, bad));
    BOOST_TEST(bad == offset);
  }
  std::size_t bad = 99;
  BOOST_TEST(neural_attention::valid_utf8("", bad));
  BOOST_TEST(bad == 0u);
}

BOOST_AUTO_TEST_CASE(strips_white_space_as_python) {
  BOOST_TEST(neural_attention::strip(" \t\r\n\x1C\u0085\u00A0\u2003\u3000 a b \u2029\u202F\v\f") == "a b");
  BOOST_TEST(neural_attention::strip("\u200Bx\uFEFF") == "\u200Bx\uFEFF");  // zero width is no white space
  BOOST_TEST(neural_attention::strip(" \u3000 ") == "");
  BOOST_TEST(neural_attention::strip("\u00E4") == "\u00E4");
  BOOST_TEST(neural_attention::replace_all("aaa", "aa", "b") == "ba");
  BOOST_TEST(neural_attention::replace_all("", "a", "b") == "");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(lines)

BOOST_AUTO_TEST_CASE(plain_and_gzip_give_the_same) {
  const Scratch folder;
  const auto bytes = "Ein Hund\n\n  zwei  \n\xF0\x9F\x98\x80 u\u0308 \u00FC\n</s> \x01\x7F\tx\na\0b\nlast"s;
  const Lines expected = {"Ein Hund", "", "  zwei  ", "\U0001F600 u\u0308 \u00FC", "</s> \x01\x7F\tx", "a\0b"s, "last"};
  check_lines(text::read_lines(folder.write("plain", bytes)), expected);
  check_lines(text::read_lines(folder.write_gzip("packed", bytes)), expected);
  check_lines(text::read_lines(folder.write_gzip("wrong_name.txt", bytes)), expected);
  check_lines(text::read_lines(folder.write("wrong_name.gz", bytes)), expected);
  const auto packed = folder.read("packed");
  auto twice = expected;
  twice.back() += expected.front();
  twice.insert(twice.end(), expected.begin() + 1, expected.end());
  check_lines(text::read_lines(folder.write("two_members.gz", packed + packed)), twice);
}

BOOST_AUTO_TEST_CASE(line_ends_and_byte_order_mark) {
  const Scratch folder;
  check_lines(text::read_lines(folder.write("crlf",
                                            "\xEF\xBB\xBF"
                                            "a\r\nb\r\n\r\nc\r")),
              {"a", "b", "", "c"});
  check_lines(text::read_lines(folder.write("inside",
                                            "a\rb\r\r\n\xEF\xBB\xBF"
                                            "c\n")),
              {"a\rb\r", "\uFEFFc"});
  check_lines(text::read_lines(folder.write("one_empty", "\n")), {""});
  check_lines(text::read_lines(folder.write_gzip("bom.gz",
                                                 "\xEF\xBB\xBF"
                                                 "a\n")),
              {"a"});
}

BOOST_AUTO_TEST_CASE(long_lines_cross_the_buffer) {
  const Scratch folder;
  const std::string wide(700001, 'x');
  check_lines(text::read_lines(folder.write_gzip("wide.gz", wide + "\n" + wide)), {wide, wide});
}

BOOST_AUTO_TEST_CASE(broken_utf8_names_file_line_and_byte) {
  const Scratch folder;
  for (const auto& path : {folder.write("broken", "one\ntwo\nthr\xC3(e\nfour\n"),
                           folder.write_gzip("broken.gz", "one\ntwo\nthr\xC3(e\nfour\n")}) {
    BOOST_CHECK_EXCEPTION(text::read_lines(path), LineError, [&](const LineError& error) {
      return error.line() == 3 && error.path() == path && says(path + ": line 3: byte 0xC3 at place 4")(error);
    });
  }
  // A carriage return or the end of the line never completes a character.
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.write("cut", "a\n\xE2\x82\r\n")), LineError,
                        [](const LineError& error) { return error.line() == 2; });
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.write("utf16",
                                                      "\xFF\xFE"
                                                      "a\0\n\0"s)),
                        LineError, [](const LineError& error) { return error.line() == 1; });
}

BOOST_AUTO_TEST_CASE(files_that_cannot_be_used) {
  const Scratch folder;
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.file("missing")), FileError, says("missing: cannot be opened"));
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.path.string()), FileError, says("is a folder"));
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.write("empty", "")), FileError, says("is empty"));
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.write_gzip("empty.gz", "")), FileError, says("is empty"));
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.write("bom", "\xEF\xBB\xBF")), FileError, says("is empty"));
}

BOOST_AUTO_TEST_CASE(every_truncation_of_a_gzip_file_is_found) {
  const Scratch folder;
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes += "line " + std::to_string(i * i) + "\n";
  folder.write_gzip("whole.gz", bytes);
  const auto packed = folder.read("whole.gz");
  BOOST_TEST_REQUIRE(packed.size() > 100);
  BOOST_TEST(text::read_lines(folder.file("whole.gz")).size() == 300);
  for (std::size_t size = 2; size < packed.size(); ++size)  // one byte alone is not yet gzip
    BOOST_CHECK_THROW(text::read_lines(folder.write("cut.gz", packed.substr(0, size))), FileError);
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.write("cut.gz", packed.substr(0, packed.size() / 2))), FileError,
                        says("ends early"));
  auto flipped = packed;
  flipped[flipped.size() - 6] = static_cast<char>(flipped[flipped.size() - 6] ^ 1);  // in the checksum
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.write("flipped.gz", flipped)), FileError, says("corrupt"));
}

BOOST_AUTO_TEST_CASE(what_follows_gzip_data_is_not_passed_over) {
  const Scratch folder;
  folder.write_gzip("whole.gz", "one\ntwo\n");
  const auto packed = folder.read("whole.gz");
  for (const std::string& garbage :
       {std::string("three\n"), std::string(1, '\0') + "x", std::string("\x1F\x8Bno gzip")})
    for (const auto& before : {packed, packed + packed})
      BOOST_CHECK_EXCEPTION(text::read_lines(folder.write("more.gz", before + garbage)), FileError,
                            says(garbage[0] == '\x1F' ? "corrupt" : "not gzip data"));
  // Zeros to the end are padding.
  check_lines(text::read_lines(folder.write("padded.gz", packed + std::string(70'000, '\0'))), {"one", "two"});
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.write("late.gz", packed + std::string(300'000, '\0') + packed)),
                        FileError, says("not gzip data"));
}

BOOST_AUTO_TEST_CASE(texts_as_large_as_the_buffers_come_whole) {
  const Scratch folder;
  for (const std::size_t size : {262'143, 262'144, 262'145, 524'288, 1'000'000}) {
    const std::string text(size, 'a');
    check_lines(text::read_lines(folder.write_gzip("long.gz", text)), {text});
  }
}

BOOST_AUTO_TEST_CASE(finds_plain_before_gzip) {
  const Scratch folder;
  const auto directory = folder.path.string();
  BOOST_CHECK_EXCEPTION(text::find_text_file(directory, "train.de"), FileError, [&](const FileError& error) {
    return says(folder.file("train.de") + ":")(error) && says(folder.file("train.de.gz"))(error);
  });
  folder.write_gzip("train.de.gz", "a\n");
  BOOST_TEST(text::find_text_file(directory, "train.de") == folder.file("train.de.gz"));
  folder.write("train.de", "a\n");
  BOOST_TEST(text::find_text_file(directory, "train.de") == folder.file("train.de"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(parallel)

BOOST_AUTO_TEST_CASE(two_sides) {
  const Scratch folder;
  const auto source = folder.write("a.de", "Hund\n\nKatze\n"), target = folder.write_gzip("a.en.gz", "dog\n\ncat");
  const auto corpus = text::load_parallel(source, target);
  BOOST_TEST(corpus.size() == 3u);
  check_lines(corpus.source, {"Hund", "", "Katze"});
  check_lines(corpus.target, {"dog", "", "cat"});
}

BOOST_AUTO_TEST_CASE(unequal_counts_name_both_files_and_counts) {
  const Scratch folder;
  const auto source = folder.write("a.de", "1\n2\n3\n"), target = folder.write("a.en", "1\n2\n");
  BOOST_CHECK_EXCEPTION(text::load_parallel(source, target), FileError, [&](const FileError& error) {
    return says(target + ": has 2 lines")(error) && says(source + " has 3")(error);
  });
  BOOST_CHECK_EXCEPTION(text::load_parallel(source, folder.write("none", "")), FileError, says("is empty"));
  BOOST_CHECK_THROW(text::load_parallel(source, folder.write("bad", "1\n\xFF\n3\n")), LineError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(limits)

BOOST_AUTO_TEST_CASE(a_line_that_is_no_text) {
  const Scratch folder;
  const std::string longest(text::longest_line, 'x');
  check_lines(text::read_lines(folder.write("good", "a\n" + longest + "\r\nb")), {"a", longest, "b"});
  const std::string mark = "\xEF\xBB\xBF";  // does not count, and neither does a carriage return
  for (const auto* end : {"", "\r", "\n", "\r\n"})
    check_lines(text::read_lines(folder.write("mark", mark + longest + end)), {longest});
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.write("mark", mark + longest + "x\r")), LineError,
                        says("line 1: is longer than 1048576 bytes"));
  for (const auto& path : {folder.write("bad", "a\n" + longest + "x\nb"), folder.write("last", "a\n" + longest + "xyz"),
                           folder.write_gzip("bad.gz", "a\n" + longest + longest)})
    BOOST_CHECK_EXCEPTION(text::read_lines(path), LineError, [&](const LineError& error) {
      return error.path() == path && error.line() == 2 && says("longer than 1048576 bytes")(error);
    });
}

// 300 kB that would fill gigabytes: empty lines, of which each takes 32 bytes of memory, and one endless line.
BOOST_AUTO_TEST_CASE(a_gzip_file_that_fills_the_memory) {
  const Scratch folder;
  const auto lines = folder.write_gzip("lines.gz", std::string(50'000'000, '\n'));
  BOOST_CHECK_EXCEPTION(text::read_lines(lines), FileError, says({"lines.gz", "500 times its size", "up to line"}));
  const auto letters = folder.write_gzip("letters.gz", std::string(80'000'000, 'a'));
  BOOST_CHECK_EXCEPTION(text::read_text_bytes(letters), FileError, says({"letters.gz", "500 times its size"}));
  BOOST_CHECK_EXCEPTION(text::read_lines(letters), LineError, says("line 1: is longer than"));
  const auto everywhere = [](std::string_view text, std::size_t) { return text.size() - 1; };
  BOOST_CHECK_EXCEPTION(text::read_blocks(letters, everywhere, [](const text::TextBlock&) {}), FileError,
                        says({"letters.gz", "500 times its size"}));
  // What is repetitive, but small or half as dense, is taken.
  std::string same;
  for (int i = 0; i < 200'000; ++i) same += "The same sentence again.\n";
  BOOST_TEST(text::read_lines(folder.write_gzip("same.gz", same)).size() == 200'000u);
  BOOST_TEST(text::read_lines(folder.write("plain", std::string(5'000'000, '\n'))).size() == 5'000'000u);
}

BOOST_AUTO_TEST_CASE(a_pointer_of_git_lfs) {
  const Scratch folder;
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
  BOOST_CHECK_EXCEPTION(text::read_lines(folder.write("train.de", pointer)), FileError,
                        says({"train.de", "git lfs pull"}));
  BOOST_CHECK_EXCEPTION(text::read_text_bytes(folder.write("train.de", pointer)), FileError, says("git lfs pull"));
}

BOOST_AUTO_TEST_SUITE_END()
