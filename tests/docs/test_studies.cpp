// The studies of docs/results/studies: `projector_study report` makes their reports again from the files that are kept,
// byte for byte.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE studies
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <set>
#include <string>

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

}  // namespace

BOOST_FIXTURE_TEST_SUITE(of_the_documentation, Folder)

BOOST_AUTO_TEST_CASE(are_made_again_byte_for_byte) {
  const auto studies = documents::source_folder() / "docs/results/studies";
  int count = 0;
  for (const auto& item : fs::directory_iterator(studies)) {
    if (item.path().extension() != ".json") continue;
    ++count;
    const auto name = item.path().stem().string();
    BOOST_TEST_CONTEXT(name) {
      fs::create_directories(folder / name);
      fs::copy_file(item.path(), folder / (name + ".json"));
      for (const auto* const file : {"plan.json", "records.jsonl"})
        fs::copy_file(studies / name / file, folder / name / file);
      const auto outcome = run("projector_study", {"report", path(name + ".json"), "--partial"});
      BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
      const auto kept = kept_files(studies / name);
      BOOST_TEST(kept_files(folder / name) == kept, boost::test_tools::per_element());
      for (const auto& file : kept)
        BOOST_TEST((content(folder / name / file) == content(studies / name / file)),
                   name << "/" << file << " is not what projector_study makes of records.jsonl");
    }
  }
  BOOST_TEST(count > 0);
}

BOOST_AUTO_TEST_SUITE_END()
