// Reports as Markdown and HTML: text of users stays text, and links lead to files of any name.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE document
#include <boost/test/unit_test.hpp>
#include <string>

#include "projector_study/document.hpp"

using namespace examples;

BOOST_AUTO_TEST_SUITE(links)

BOOST_AUTO_TEST_CASE(and_pictures_lead_to_files_of_any_name) {
  const Document document = {Link{"The <report> of [a]", "../my studies/a(1)&\"é\"/report.md"},
                             Picture{"a b/x.svg", "A | B", "<svg></svg>"}};
  const auto markdown = as_markdown(document), html = as_html(document, "t");
  const std::string path = "../my%20studies/a%281%29%26%22%C3%A9%22/report.md";
  BOOST_TEST(markdown == "[The \\<report> of \\[a\\]](" + path + ")\n\n![A \\| B](a%20b/x.svg)\n");
  BOOST_TEST(html.find("<p><a href=\"" + path + "\">The &lt;report&gt; of [a]</a></p>\n<figure><svg></svg></figure>") !=
                 std::string::npos,
             html);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(paragraphs)

BOOST_AUTO_TEST_CASE(stay_paragraphs_whatever_they_begin_with) {
  const auto written = [](const std::string& text) { return as_markdown({Paragraph{text}}); };
  BOOST_TEST(written("# a") == "\\# a\n");
  BOOST_TEST(written("- a") == "\\- a\n");
  BOOST_TEST(written("> a") == "\\> a\n");
  BOOST_TEST(written("12. a") == "12\\. a\n");
  BOOST_TEST(written("2) a") == "2\\) a\n");
  BOOST_TEST(written("* a\nb") == "\\* a b\n");
  BOOST_TEST(written("2 layers - and 3.") == "2 layers - and 3.\n");
  BOOST_TEST(written("") == "\n");
  BOOST_TEST(written("    no code") == "no code\n");
  BOOST_TEST(written("\t\n  - a") == "\\- a\n");
  BOOST_TEST(written(" \n") == "\n");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(code)

BOOST_AUTO_TEST_CASE(stays_code_whatever_it_has) {
  const auto written = [](const std::string& text) { return as_markdown({CodeBlock{text}}); };
  BOOST_TEST(written("a `b` ``c``\n") == "```\na `b` ``c``\n```\n");
  BOOST_TEST(written("```\n# No heading\n") == "````\n```\n# No heading\n````\n");
  BOOST_TEST(written("`````` and ```\n") == "```````\n`````` and ```\n```````\n");
}

BOOST_AUTO_TEST_SUITE_END()
