#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE corpus_formats
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/data/iwslt.hpp"
#include "neural_attention/text/data/load_corpus.hpp"
#include "neural_attention/text/data/tsv.hpp"
#include "scratch.hpp"

namespace text = neural_attention::text;
using Lines = std::vector<std::string>;
using neural_attention::ConfigError;
using neural_attention::FileError;
using neural_attention::LineError;

namespace {

/// Whether an error is of this file and line, and says `part`.
auto at_line(const std::string& path, long line, const std::string& part) {
  return [=](const LineError& error) {
    const bool right = error.path() == path && error.line() == line && says(part)(error);
    if (!right) BOOST_TEST_MESSAGE("the message was: " << error.what());
    return right;
  };
}

void check_lines(const Lines& got, const Lines& expected) {
  BOOST_CHECK_EQUAL_COLLECTIONS(got.begin(), got.end(), expected.begin(), expected.end());
}

constexpr const char* set = R"(<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment with a <seg id="0"> in it -->
<mteval>
<refset setid="iwslt2017-tst2010" srclang="German" trglang='English'>
<doc docid="767" genre="lectures">
<url>http://www.ted.com/talks/a&amp;b</url>
<keywords>talks, business</keywords>
<speaker/>
<title>A &quot;title&quot;</title>
<seg id="1"> R&amp;D &lt;b&gt; &quot;x&quot; &apos;y&apos; &#228;&#xE4;&#x1F600; </seg>
<seg id="2">two
lines</seg>
</doc>
<doc docid="769"><seg id="1"></seg><seg id="2"/></doc>
</refset>
</mteval>
)";

}  // namespace

BOOST_AUTO_TEST_SUITE(tsv)

BOOST_AUTO_TEST_CASE(columns_can_be_chosen) {
  const Scratch folder;
  const std::string bytes = "\xEF\xBB\xBFGo.\tGeh.\tCC-BY 2.0\r\nHi.\t\"Hallo!\"\t\n \t\tx";
  const auto path = folder.write("deu.txt", bytes);
  for (const auto& file : {path, folder.write_gzip("deu.tsv.gz", bytes)}) {
    const auto corpus = text::load_tsv(file, {2, 1});
    check_lines(corpus.source, {"Geh.", "\"Hallo!\"", ""});
    check_lines(corpus.target, {"Go.", "Hi.", " "});
  }
  check_lines(text::load_tsv(path, {3, 3}).target, {"CC-BY 2.0", "", "x"});
}

BOOST_AUTO_TEST_CASE(faults_name_file_and_line) {
  const Scratch folder;
  const auto check = [&](const std::string& bytes, const text::TsvColumns& columns, long line,
                         const std::string& part) {
    const auto path = folder.write("x.tsv", bytes);
    BOOST_CHECK_EXCEPTION(text::load_tsv(path, columns), LineError, at_line(path, line, part));
  };
  check("a\tb\nc\n", {}, 2, "has 1 column separated by tabs, but column 2 is wanted");
  check("a\tb\n\n", {}, 2, "has 1 column ");
  check("a\tb\tc\nd\te\n", {1, 3}, 2, "has 2 columns separated by tabs, but column 3 is wanted");
  check("a\tb\nc\t\xFF\n", {}, 2, "byte 0xFF");
  BOOST_CHECK_EXCEPTION(text::load_tsv(folder.write("e", "")), FileError, says("is empty"));
  BOOST_CHECK_THROW(text::load_tsv(folder.file("none")), FileError);
  BOOST_CHECK_EXCEPTION(text::load_tsv(folder.write("x", "a\tb"), {0, 1}), ConfigError, says("from 1, not from 0"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(iwslt_xml)

BOOST_AUTO_TEST_CASE(segments_are_read) {
  const Scratch folder;
  for (const auto& path : {folder.write("x.xml", set), folder.write_gzip("x.xml.gz", set)}) {
    const auto segments = text::read_iwslt_segments(path);
    BOOST_TEST_REQUIRE(segments.size() == 4u);
    Lines texts, names;
    for (const auto& segment : segments) {
      texts.push_back(segment.text);
      names.push_back(segment.document + "." + segment.id + " line " + std::to_string(segment.line));
    }
    check_lines(texts, {"R&D <b> \"x\" 'y' ää\U0001F600", "two lines", "", ""});
    check_lines(names, {"767.1 line 10", "767.2 line 11", "769.1 line 14", "769.2 line 14"});
  }
}

BOOST_AUTO_TEST_CASE(faults_name_file_and_line) {
  const Scratch folder;
  const auto check = [&](const std::string& bytes, long line, const std::string& part) {
    const auto path = folder.write("x.xml", bytes);
    BOOST_CHECK_EXCEPTION(text::read_iwslt_segments(path), LineError, at_line(path, line, part));
  };
  const auto in_segment = [](const std::string& content) {
    return "<a><doc docid=\"7\">\n<seg id=\"1\">" + content + "</seg>\n</doc></a>";
  };
  for (const auto* content :
       {"AT&T", "&", "&nbsp;", "&#0;", "&#xD800;", "&#x110000;", "&#99999999999;", "&#;", "&#12", "&#xFFFE;"})
    check(in_segment(content), 2, "an & that begins none of");
  check(in_segment("a <b>c</b>"), 2, "the element <b> inside a segment");
  check(in_segment("1 < 2"), 2, "no name for this tag");
  check(in_segment("a</seg> <seg id=\"1\">b"), 2, "has a segment \"1\" before this one");
  check(in_segment("a</seg> <seg id=\"2\">b</seg> <seg id=\"1\">c"), 2, "has a segment \"1\" before this one");
  check(in_segment("\xFF"), 2, "byte 0xFF at place 13 of the line");
  check("<doc docid=\"7\">\n<seg id=\"1\">a</doc>", 2, "</doc> closes <seg>");
  check("<doc docid=\"7\">\n<seg id=\"1\">a", 2, "an end of the file inside <seg>");
  check("<doc docid=\"7\"><seg>a</seg></doc>", 1, "a segment has no id");
  check("<doc>\n<seg id=\"1\">a</seg></doc>", 1, "a document has no docid");
  check("<a>\n\n<seg id=\"1\">a</seg></a>", 3, "outside a document");
  check("<a></a>\n<b></b>", 2, "a second outermost element");
  check("</a>", 1, "</a> closes nothing");
  check("text\n<a></a>", 1, "text outside");
  check("<a>\n<b x=1></b></a>", 2, "without quotation marks");
  check("<a>\n<b x=\"1></b></a>", 2, "an attribute's value without its end");
  check("<a>\n<b x=\"1\" x=\"2\"></b></a>", 2, "the attribute x twice");
  std::string many;
  for (int i = 0; i < 65; ++i) many += " x" + std::to_string(i) + "=\"1\"";
  check("<a>\n<b" + many + "/></a>", 2, "a tag <b with more than 64 attributes");
  check("<a>\n<b x></b></a>", 2, "the attribute x without a value");
  check("<a>\n<b x=\"1\"y=\"2\"></b></a>", 2, "does not end with >");
  check("<a>\n<b x=\"&y;\"></b></a>", 2, "an & in an attribute");
  check("<a>\n<b ", 2, "a tag <b without its end");
  check("<a>\n</b x=\"1\"></a>", 2, "does not end with >");
  check("<a>\n<!-- </a>", 2, "a comment without its end");
  check("<!DOCTYPE a [<!ENTITY x \"y\">]><a/>", 1, "a document type");
  std::string deep;
  for (int i = 0; i < 70; ++i) deep += "<a>";
  check(deep, 1, "nested more than 64 deep");
  BOOST_CHECK_EXCEPTION(text::read_iwslt_segments(folder.write("x", "<a/>")), FileError, says("no <seg> elements"));
  BOOST_CHECK_EXCEPTION(text::read_iwslt_segments(folder.write("x", "")), FileError, says("no <seg> elements"));
}

// The time grows with the segments, not with their square, which would be minutes here.
BOOST_AUTO_TEST_CASE(a_document_may_have_many_segments, *boost::unit_test::timeout(60)) {
  constexpr int count = 300'000;
  std::string bytes = "<doc docid=\"7\">";
  for (int i = 0; i < count; ++i) bytes += "<seg id=\"" + std::to_string(i) + "\"/>\n";
  const Scratch folder;
  const auto segments = text::read_iwslt_segments(folder.write("x.xml", bytes + "</doc>"));
  BOOST_TEST(std::ssize(segments) == count);
}

BOOST_AUTO_TEST_CASE(sides_must_hold_the_same_segments) {
  const Scratch folder;
  const auto path = [&](const char* name, const char* bytes) { return folder.write(name, bytes); };
  const auto both = path("s.xml", "<a><doc docid='1'><seg id='1'>a</seg>\n<seg id='2'>b</seg></doc></a>");
  const auto other = path("t.xml", "<a><doc docid='1'><seg id='1'>A</seg>\n<seg id='3'>B</seg></doc></a>");
  const auto shorter = path("u.xml", "<a><doc docid='1'><seg id='1'>A</seg></doc></a>");
  const auto corpus = text::load_iwslt_xml(both, both);
  check_lines(corpus.source, {"a", "b"});
  check_lines(corpus.target, {"a", "b"});
  BOOST_CHECK_EXCEPTION(
      text::load_iwslt_xml(both, other), LineError,
      at_line(other, 2, "segment \"3\" of document \"1\" stands opposite segment \"2\" of document \"1\" of " + both));
  BOOST_CHECK_EXCEPTION(text::load_iwslt_xml(both, shorter), FileError, says("has 1 segments, but its other side"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(iwslt_tags)

BOOST_AUTO_TEST_CASE(metadata_is_passed_over) {
  const Scratch folder;
  const auto path = folder.write("train.tags.de-en.de",
                                 "<doc docid=\"1\" genre=\"lectures\">\n<url>http://x</url>\n<title>T</title>\n"
                                 " Danke, Chris. \nR&amp;D und AT&T &#228; & &x;\n\n <reviewer></reviewer>\nEnde\n");
  const auto sentences = text::read_iwslt_tags(path);
  check_lines(sentences, {"Danke, Chris.", "R&D und AT&T ä & &x;", "", "Ende"});
  const auto shorter = folder.write("train.tags.de-en.en", "<url>x</url>\nThanks\n");
  BOOST_CHECK_EXCEPTION(text::load_iwslt_tags(path, shorter), FileError, says("has 1 sentences, but its other side"));
  BOOST_CHECK_EXCEPTION(text::read_iwslt_tags(folder.write("x", "<url>x</url>\n")), FileError, says("no sentences"));
  BOOST_CHECK_THROW(text::read_iwslt_tags(folder.write("x", "a\n\xFF\n")), LineError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(by_name)

BOOST_AUTO_TEST_CASE(formats) {
  using text::CorpusFormat;
  BOOST_TEST((text::corpus_format("a/b.tsv") == CorpusFormat::Tsv));
  BOOST_TEST((text::corpus_format("b.tsv.gz") == CorpusFormat::Tsv));
  BOOST_TEST((text::corpus_format("IWSLT17.TED.tst2010.de-en.de.xml") == CorpusFormat::IwsltXml));
  BOOST_TEST((text::corpus_format("x.xml.gz") == CorpusFormat::IwsltXml));
  BOOST_TEST((text::corpus_format("a/train.tags.de-en.de.gz") == CorpusFormat::IwsltTags));
  BOOST_TEST((text::corpus_format("train.tags.d/train.de") == CorpusFormat::Lines));
  BOOST_TEST((text::corpus_format("train.de.gz") == CorpusFormat::Lines));
}

BOOST_AUTO_TEST_CASE(every_format_is_loaded) {
  const Scratch folder;
  const auto tsv = folder.write("a.tsv", "s\tt\n"), lines = folder.write("a.de", "s\tt\n");
  const auto xml = folder.write("a.xml", "<a><doc docid='1'><seg id='1'>seg</seg></doc></a>");
  const auto tags = folder.write("train.tags.de", "<url>\nsentence\n");
  check_lines(text::load_corpus(tsv, "").target, {"t"});
  check_lines(text::load_corpus(lines, "", {2, 1}).target, {"s"});
  check_lines(text::load_corpus(lines, lines).target, {"s\tt"});
  check_lines(text::load_corpus(xml, xml).target, {"seg"});
  check_lines(text::load_corpus(tags, tags).source, {"sentence"});
  BOOST_CHECK_EXCEPTION(text::load_corpus(xml, lines), ConfigError, says("of different formats"));
  BOOST_CHECK_EXCEPTION(text::load_corpus(tsv, tsv), ConfigError, says("holds both sides"));
}

BOOST_AUTO_TEST_CASE(a_test_set_has_one_or_more_references) {
  const Scratch folder;
  const auto source = folder.write("a.de", "eins\nzwei\n"), one = folder.write("a.en", "one\ntwo\n");
  const auto other = folder.write("b.en", "1\n2\n"), shorter = folder.write("c.en", "1\n");
  const auto xml = folder.write("a.xml", "<a><doc docid='1'><seg id='1'>seg</seg></doc></a>");
  const auto load = [](const std::string& sentences, const Lines& references) {
    return text::load_referenced_corpus(sentences, references);
  };
  const auto corpus = load(source, {one, other});
  check_lines(corpus.source, {"eins", "zwei"});
  BOOST_REQUIRE_EQUAL(corpus.references.size(), 2u);
  check_lines(corpus.references[0], {"one", "two"});
  check_lines(corpus.references[1], {"1", "2"});
  check_lines(load(xml, {xml, xml}).references[1], {"seg"});
  BOOST_CHECK_EXCEPTION(load(source, {one, shorter}), FileError, says("has 1 lines, but its other side " + source));
  BOOST_CHECK_EXCEPTION(load(source, {one, xml}), ConfigError, says("of different formats"));
  BOOST_CHECK_EXCEPTION(load(source, {}), ConfigError, says("needs at least one reference"));
}

BOOST_AUTO_TEST_SUITE_END()

// The real sentences, written in each format by the few lines below and read back: equal to those read as lines, and as
// many as the data's own description says.
BOOST_AUTO_TEST_SUITE(real_text_data)

namespace {

std::string escaped(const std::string& line) {
  std::string result;
  for (const char c : line) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else
      result += c;
  }
  return result;
}

std::string as_xml(const Lines& lines) {
  std::string bytes = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<mteval>\n<srcset setid=\"x\" srclang=\"German\">\n";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i % 100 == 0) {
      bytes += (i == 0 ? "" : "</doc>\n") + std::string("<doc docid=\"") + std::to_string(i / 100) +
               "\" genre=\"lectures\">\n<title>Forschung &amp; Lehre</title>\n";
    }
    bytes += "<seg id=\"" + std::to_string(i % 100 + 1) + "\"> " + escaped(lines[i]) + " </seg>\n";
  }
  return bytes + "</doc>\n</srcset>\n</mteval>\n";
}

std::string as_tags(const Lines& lines) {
  std::string bytes;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i % 100 == 0) bytes += "<url>http://x</url>\n<keywords>a, b</keywords>\n";
    bytes += escaped(lines[i]) + "\n";
  }
  return bytes;
}

std::string data_folder(const std::string& name) {
  const char* const data = std::getenv("NEURAL_ATTENTION_DATA_DIR");
  const auto folder = std::string(data == nullptr ? "" : data) + "/" + name;
  if (data != nullptr && std::filesystem::is_directory(folder)) return folder;
  std::printf("SKIPPED: NEURAL_ATTENTION_DATA_DIR names no folder with %s in it\n", name.c_str());
  return {};
}

text::ParallelCorpus load(const std::string& folder, const std::string& part) {
  return text::load_corpus(text::find_text_file(folder, part + ".de"), text::find_text_file(folder, part + ".en"));
}

void check_same(const text::ParallelCorpus& got, const text::ParallelCorpus& expected) {
  BOOST_TEST((got.source == expected.source && got.target == expected.target));
}

}  // namespace

BOOST_AUTO_TEST_CASE(iwslt_test_sets) {
  const auto folder = data_folder("iwslt17");
  if (folder.empty()) return;
  const std::pair<const char*, std::size_t> parts[] = {{"dev2010", 888},  {"tst2010", 1568}, {"tst2011", 1433},
                                                       {"tst2012", 1700}, {"tst2013", 993},  {"tst2014", 1305}};
  const Scratch scratch;
  for (const auto& [part, size] : parts) {
    const auto corpus = load(folder, part);
    BOOST_TEST(corpus.size() == size);
    check_same(text::load_corpus(scratch.write("s.xml", as_xml(corpus.source)),
                                 scratch.write_gzip("t.xml.gz", as_xml(corpus.target))),
               corpus);
    check_same(text::load_corpus(scratch.write("train.tags.de-en.de", as_tags(corpus.source)),
                                 scratch.write_gzip("train.tags.de-en.en.gz", as_tags(corpus.target))),
               corpus);
  }
}

BOOST_AUTO_TEST_CASE(tatoeba_in_its_own_layout) {
  const auto folder = data_folder("tatoeba");
  if (folder.empty()) return;
  const Scratch scratch;
  const std::pair<const char*, std::size_t> parts[] = {{"train", 161792}, {"valid", 2000}, {"test", 2000}};
  for (const auto& [part, size] : parts) {
    const auto corpus = load(folder, part);
    BOOST_TEST(corpus.size() == size);
    std::string bytes;
    for (std::size_t i = 0; i < corpus.size(); ++i)
      bytes += corpus.target[i] + "\t" + corpus.source[i] + "\tCC-BY 2.0 (France)\n";
    check_same(text::load_corpus(scratch.write_gzip("deu.tsv.gz", bytes), "", {2, 1}), corpus);
  }
}

BOOST_AUTO_TEST_SUITE_END()
