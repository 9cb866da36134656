// docs/flags.md says what the programs say. With NEURAL_ATTENTION_UPDATE_PAGES=1, as the target flags-page sets it, the
// page is written instead.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE flags_page
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "docs/documents.hpp"
#include "docs/flags_page.hpp"
#include "examples/programs.hpp"

using namespace programs;

namespace {

std::vector<std::pair<std::string, std::string>> helps(const Folder& folder) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const Arguments& command : {Arguments{"translation", "train"},
                                   Arguments{"translation", "evaluate"},
                                   Arguments{"translation", "translate"},
                                   Arguments{"translation", "quantize"},
                                   Arguments{"masked_lm", "train"},
                                   Arguments{"masked_lm", "evaluate"},
                                   Arguments{"masked_lm", "fill"},
                                   Arguments{"masked_lm", "quantize"},
                                   Arguments{"causal_lm", "train"},
                                   Arguments{"causal_lm", "evaluate"},
                                   Arguments{"causal_lm", "generate"},
                                   Arguments{"causal_lm", "tokenize"},
                                   Arguments{"causal_lm", "quantize"},
                                   Arguments{"projector_study", "init"},
                                   Arguments{"projector_study", "plan"},
                                   Arguments{"projector_study", "run"},
                                   Arguments{"projector_study", "report"},
                                   Arguments{"projector_study", "summary"},
                                   Arguments{"demo"},
                                   Arguments{"custom_projector"},
                                   Arguments{"results_report"}}) {
    Arguments arguments(command.begin() + 1, command.end());
    arguments.emplace_back("--help");
    const auto outcome = folder.run(command.front(), arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    all.emplace_back(command.size() > 1 ? command[0] + " " + command[1] : command[0], outcome.out);
  }
  return all;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(reference, Folder)

BOOST_AUTO_TEST_CASE(says_what_the_programs_say) {
  const auto path = documents::source_folder() / "docs/flags.md";
  const auto made = flags_page::page(helps(*this));
  if (std::getenv("NEURAL_ATTENTION_UPDATE_PAGES")) write(path, made);
  const auto page = lines_of(documents::text_of(path)), expected = lines_of(made);
  for (std::size_t i = 0; i < std::max(page.size(), expected.size()); ++i) {
    const auto line = [&](const std::vector<std::string>& of) {
      return i < of.size() ? of[i] : std::string("(no line)");
    };
    BOOST_REQUIRE_MESSAGE(line(page) == line(expected),
                          "docs/flags.md, line " << i + 1 << " is\n  " << line(page) << "\nand should be\n  "
                                                 << line(expected)
                                                 << "\nIf the programs are right: cmake --build build/test --target "
                                                    "flags-page");
  }
}

BOOST_AUTO_TEST_CASE(finds_every_flag_with_its_value_and_default) {
  const auto groups = flags_page::groups_of(
      "What it does\n\nOptions:\n  -h,--help                   Print this\n  --model TEXT REQUIRED       The "
      "model\n\n\n"
      "Search:\n  --num_beams INT:(1 to 9)=4 Needs: --model\n                              Beams | or so\n"
      "  --mode TEXT:{a,b}=a         Which\n  --freeze TEXT ...           Patterns\n  --quick                     Be "
      "so\n");
  BOOST_REQUIRE(groups.size() == 2u);
  BOOST_TEST(flags_page::table_of(groups) ==
             "**Options**\n\n| flag | value | default | what it does |\n|---|---|---|---|\n"
             "| `--model` | TEXT | required | The model |\n\n"
             "**Search**\n\n| flag | value | default | what it does |\n|---|---|---|---|\n"
             "| `--num_beams` | INT, 1 to 9 | `4` | Beams \\| or so. Needs `--model` |\n"
             "| `--mode` | `a`, `b` | `a` | Which |\n| `--freeze` | TEXT ... |  | Patterns |\n| `--quick` |  |  | Be "
             "so |\n\n");
}

// The names of projectors stand in one list; the pages for readers show all of them.
BOOST_AUTO_TEST_CASE(of_the_projectors_agree_with_the_other_pages) {
  std::string prose;
  for (const auto& document : documents::all())
    if (document.path.filename() != "flags.md") prose += document.prose;
  neural_attention::AnyProjector<neural_attention::Cpu<float>>::for_each_type([&]<class P>() {
    using Name = neural_attention::ProjectorName<P>;
    const auto row = "| `" + std::string(Name::type) + "` | `" + std::string(Name::value) + "` |";
    BOOST_TEST(contains(prose, row), "no page has the row " << row);
  });
}

BOOST_AUTO_TEST_SUITE_END()
