// Links between the README, its neighbours and the pages of docs/: their files exist, and their headings.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE links
#include <boost/test/unit_test.hpp>
#include <cctype>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "docs/documents.hpp"

namespace fs = std::filesystem;

namespace {

/// What the anchor of a heading is called: letters, digits, - and _ stay, spaces become -, other ASCII goes.
std::string anchor(const std::string& heading) {
  std::string result;
  for (const char c : heading) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ' ')
      result += '-';
    else if (byte >= 0x80 || std::isalnum(byte) || c == '-' || c == '_')
      result += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
  }
  return result;
}

std::set<std::string> anchors(const documents::Document& document) {
  std::set<std::string> result;
  std::istringstream lines(document.prose);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with('#')) result.insert(anchor(line.substr(line.find(' ') + 1)));
  return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(of_the_pages)

BOOST_AUTO_TEST_CASE(lead_somewhere) {
  static const std::regex link(R"(\]\(([^)\s#]*)(#[^)\s]*)?\))");
  int found = 0;
  for (const auto& document : documents::all())
    for (std::sregex_iterator match(document.prose.begin(), document.prose.end(), link), end; match != end; ++match) {
      const std::string file = (*match)[1], heading = (*match)[2];
      if (file.find("://") != file.npos) continue;
      const auto path = file.empty() ? document.path : document.path.parent_path() / file;
      const auto place = document.path.filename().string() + ": " + file + heading;
      BOOST_TEST(fs::exists(path), place << " is not there");
      if (!heading.empty())
        BOOST_TEST(anchors(documents::read(path)).contains(heading.substr(1)), place << " names no heading");
      ++found;
    }
  BOOST_TEST(found > 50);
}

BOOST_AUTO_TEST_SUITE_END()
