// The programs with weights of int8: --dtype int8 and the directories of quantize give the same texts, and what is
// refused.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE examples_int8
#include <boost/test/unit_test.hpp>
#include <string>

#include "examples/translation_workplace.hpp"

using namespace programs;

namespace {

struct Quantized : Workplace {
  Quantized() : model(small_model()), int8(path("int8")) {
    const auto outcome = run("translation", {"quantize", "--model", model, "--output_dir", int8});
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    BOOST_TEST(contains(outcome.out, "ratio = 0."));
  }
  std::string translated(const std::string& directory, const Arguments& more = {}) const {
    Arguments arguments = {"translate", "--model", directory, "--max_length", "12", "--num_beams", "3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run("translation", arguments, "Der Hund schläft.\nEine Katze und ein Haus.\n");
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return outcome.out;
  }

  std::string model, int8;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(int8, Quantized)

BOOST_AUTO_TEST_CASE(a_quantised_directory_translates_as_the_flag_does) {
  const auto text = translated(int8);
  BOOST_TEST(lines_of(text).size() == 2u);
  BOOST_TEST(translated(model, {"--dtype", "int8"}) == text);
  BOOST_TEST(translated(int8, {"--dtype", "int8", "--threads", "2"}) == text);
  for (const char* const file : {"source.spm", "target.spm", "vocab.json", "generation_config.json"})
    BOOST_TEST(content(folder / "int8" / file) == content(folder / "model" / file));
  const auto evaluated = run("translation", {"evaluate", "--model", int8, "--source", path("data/valid.de"),
                                             "--reference", path("data/valid.en"), "--max_length", "12"});
  BOOST_TEST(evaluated.code == 0, evaluated.err);
  BOOST_TEST(contains(evaluated.out, "BLEU"));
}

BOOST_AUTO_TEST_CASE(quantize_says_what_it_costs) {
  const auto outcome = run("translation", {"quantize", "--model", model, "--output_dir", path("other"), "--evaluate_on",
                                           path("data/valid.de"), path("data/valid.en")});
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  BOOST_TEST(contains(outcome.out, "BLEU before = "));
  BOOST_TEST(contains(outcome.out, "\nBLEU = "));
  Folder::refuses(2, "translation",
                  {"quantize", "--model", model, "--output_dir", path("third"), "--evaluate_on", path("data/valid.de")},
                  {"--evaluate_on takes 2 files here, not 1"});
}

BOOST_AUTO_TEST_CASE(what_cannot_be_is_refused_in_a_sentence) {
  Folder::refuses(2, "translation", training("again", "1", {"--dtype", "int8"}), {"--dtype"});
  Folder::refuses(1, "translation",
                  {"train", "--data", path("data"), "--model", int8, "--max_steps", "1", "--output_dir", path("again")},
                  {"config.json", "int8", "cannot be trained"});
  Folder::refuses(2, "translation", {"quantize", "--model", int8, "--output_dir", path("twice")},
                  {"int8 model already"});
  Folder::refuses(2, "translation", {"quantize", "--model", model, "--output_dir", int8},
                  {"int8", "holds a model already"});
  Folder::refuses(2, "translation", {"quantize", "--model", model, "--output_dir", model}, {"directory of its own"});
  refuses(2, "translation", {"translate", "--model", model, "--dtype", "int8", "--device", "cuda"},
          {"--dtype int8", "CPU"});
}

BOOST_AUTO_TEST_SUITE_END()
