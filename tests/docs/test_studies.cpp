// The studies of docs/results/studies and the page over them, docs/results.md: projector_study makes them again from
// the files that are kept, byte for byte.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE studies
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "docs/documents.hpp"
#include "examples/programs.hpp"

using namespace programs;

namespace {

/// The files of a folder that are kept, by their path in it.
std::set<std::string> kept_files(const fs::path& folder) {
  std::set<std::string> files;
  for (const auto& item : fs::recursive_directory_iterator(folder)) {
    const auto name = fs::relative(item.path(), folder).string();
    if (item.is_regular_file() && !name.starts_with("runs/") && !name.starts_with("data/") && name != "report.html")
      files.insert(name);
  }
  return files;
}

const char* const in_source = "docs/results/studies";

struct Studies : Folder {
  Studies() : source(documents::source_folder() / in_source) {
    for (const auto& item : fs::directory_iterator(source)) {
      if (item.path().extension() != ".json") continue;
      names.insert(item.path().stem().string());
    }
  }

  /// Copies what is kept of a study, without its report, to the same place in the folder.
  void copy_kept(const std::string& name) const {
    const auto copy = folder / in_source / name;
    fs::create_directories(copy);
    fs::copy_file(source / (name + ".json"), folder / in_source / (name + ".json"));
    for (const auto* const file : {"plan.json", "records.jsonl"}) fs::copy_file(source / name / file, copy / file);
  }

  fs::path source;
  std::set<std::string> names;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(of_the_documentation, Studies)

BOOST_AUTO_TEST_CASE(are_made_again_byte_for_byte) {
  const auto page = documents::source_folder() / "docs/results.md";
  const auto blocks = documents::read(page).blocks;
  BOOST_REQUIRE(!blocks.empty());
  const auto commands = documents::commands_of(blocks.front().text);
  BOOST_REQUIRE((!commands.empty() && commands.front().size() > 2));
  const auto& words = commands.front();
  BOOST_REQUIRE((words[0] == "projector_study" && words[1] == "summary"));
  BOOST_TEST(!names.empty());
  for (const auto& name : names) {
    copy_kept(name);
    const auto file = std::string(in_source) + "/" + name + ".json";
    BOOST_TEST((std::find(words.begin(), words.end(), file) != words.end()), "docs/results.md lacks " << file);
  }
  const auto outcome = run("projector_study", {words.begin() + 1, words.end()}, {}, [&] {
    if (::chdir(folder.c_str()) != 0) ::_exit(126);
  });
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  BOOST_TEST((content(folder / "docs/results.md") == content(page)),
             "docs/results.md is not what projector_study makes of the studies; docs/results/studies/run.sh has the "
             "command");
  for (const auto& name : names) BOOST_TEST_CONTEXT(name) {
      const auto copy = folder / in_source / name, kept = source / name;
      BOOST_TEST(kept_files(copy) == kept_files(kept), boost::test_tools::per_element());
      for (const auto& file : kept_files(kept))
        BOOST_TEST((content(copy / file) == content(kept / file)),
                   name << "/" << file << " is not what projector_study makes of records.jsonl");
    }
}

BOOST_AUTO_TEST_SUITE_END()
