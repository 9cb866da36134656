// The programs with weights of int8: --dtype int8 and the directories of quantize give the same texts, and what is
// refused.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE examples_int8
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <string>

#include "examples/translation_workplace.hpp"

using namespace programs;

namespace {

struct Quantized : Workplace {
  Quantized() : model(small_model()), int8(path("int8")) {
    const auto outcome = run("translation", {"quantize", "--model", model, "--output_dir", int8});
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    for (const auto* const line : {"bytes before = ", "\nbytes = ", "\nratio = 0.",
                                   "\nbytes in memory before = ", "\nbytes in memory = ", "\nratio in memory = 0."})
      BOOST_TEST(contains(outcome.out, line), "'" << line << "' is not in " << outcome.out);
    BOOST_TEST(contains(outcome.err, ", int8 by "), outcome.err);
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
  BOOST_TEST(translated(int8, {"--dtype", "float32"}) == text);
  for (const char* const file : {"source.spm", "target.spm", "vocab.json", "generation_config.json"})
    BOOST_TEST(content(folder / "int8" / file) == content(folder / "model" / file));
  const auto evaluated = run("translation", {"evaluate", "--model", int8, "--source", path("data/valid.de"),
                                             "--reference", path("data/valid.en"), "--max_length", "12"});
  BOOST_TEST(evaluated.code == 0, evaluated.err);
  BOOST_TEST(contains(evaluated.out, "BLEU"));
}

BOOST_AUTO_TEST_CASE(commands_say_what_computes) {
  const auto said = [&](const std::string& directory, const std::string& dtype) {
    const auto outcome =
        run("translation", {"translate", "--model", directory, "--max_length", "4", "--threads", "2", "--dtype", dtype},
            "Der Hund schläft.\n");
    BOOST_TEST_REQUIRE(lines_of(outcome.err).size() == 1u, outcome.err);
    return lines_of(outcome.err).front();
  };
  for (const auto& line : {said(int8, "int8"), said(model, "int8"), said(int8, "float32")}) {
    BOOST_TEST(line.starts_with("2 threads, int8 ("), line);
    BOOST_TEST(contains(line, ", int8 by "), line);
  }
  const auto in_float = said(model, "float32"), rounded = said(model, "bfloat16");
  BOOST_TEST(in_float.starts_with("2 threads, float32 ("), in_float);
  BOOST_TEST(!contains(in_float, ", bfloat16 "), in_float);
  BOOST_TEST(!contains(in_float, ", int8 "), in_float);
  BOOST_TEST(rounded.starts_with("2 threads, bfloat16 products ("), rounded);
  BOOST_TEST(contains(rounded, ", bfloat16 "), rounded);
}

// How products of bfloat16 numbers are computed does not concern a run in float32.
BOOST_AUTO_TEST_CASE(float32_trains_whatever_bfloat16_is_told) {
  const auto outcome = [&](const std::string& dtype) {
    return run("translation", training("trained", "1", {"--dtype", dtype}), {},
               [] { setenv("NEURAL_ATTENTION_BFLOAT16", "abacus", 1); });
  };
  const auto rounded = outcome("bfloat16"), in_float = outcome("float32");
  BOOST_TEST(rounded.code == 2, rounded.err);
  BOOST_TEST(contains(rounded.err, "NEURAL_ATTENTION_BFLOAT16 must be amx, instructions or float"), rounded.err);
  BOOST_TEST(in_float.code == 0, in_float.err);
}

BOOST_AUTO_TEST_CASE(quantize_says_what_it_costs) {
  const auto outcome = run("translation", {"quantize", "--model", model, "--output_dir", path("other"), "--evaluate_on",
                                           path("data/valid.de"), path("data/valid.en")});
  BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  for (const auto* const line :
       {"predicted tokens = ", "\nlargest error of a logit = ", "\nperplexity before = ", "\nBLEU before = "})
    BOOST_TEST(contains(outcome.out, line), "'" << line << "' is not in " << outcome.out);
  BOOST_TEST(contains(outcome.out, "\nBLEU = "));
  Folder::refuses(2, "translation",
                  {"quantize", "--model", model, "--output_dir", path("third"), "--evaluate_on", path("data/valid.de")},
                  {"--evaluate_on takes 2 files here, not 1"});
}

BOOST_AUTO_TEST_CASE(a_training_run_is_replaced_with_all_that_it_left) {
  const auto trained = run("translation", training("old", "4", {"--save_steps", "2"}));
  BOOST_REQUIRE_MESSAGE(trained.code == 0, trained.err);
  const auto checkpoints = [&] {
    return std::count_if(fs::directory_iterator(folder / "old"), fs::directory_iterator(),
                         [](const auto& item) { return item.path().filename().string().starts_with("checkpoint-"); });
  };
  BOOST_TEST(checkpoints() > 0);
  Arguments arguments = {"quantize", "--model", model, "--output_dir", path("old")};
  const auto refused = run("translation", arguments);
  BOOST_TEST(refused.code == 2, refused.err);
  BOOST_TEST(contains(refused.err, "holds the checkpoints of a training run; give another --output_dir"), refused.err);
  BOOST_TEST(!contains(refused.err, "--resume_from_checkpoint"), refused.err);
  BOOST_TEST(checkpoints() > 0);

  BOOST_TEST(fs::exists(folder / "old/metrics.jsonl"));
  BOOST_TEST(fs::exists(folder / "old/metrics.csv"));
  write(folder / "old/loss.svg", "");
  arguments.push_back("--overwrite_output_dir");
  const auto replaced = run("translation", arguments);
  BOOST_TEST(replaced.code == 0, replaced.err);
  BOOST_TEST(checkpoints() == 0);
  for (const char* const file : {"metrics.jsonl", "metrics.csv", "loss.svg"})
    BOOST_TEST(!fs::exists(folder / "old" / file), file);
  BOOST_TEST(translated(path("old")) == translated(int8));
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
  refuses(2, "translation", {"translate", "--model", int8, "--dtype", "bfloat16"},
          {int8 + " holds int8 weights", "--dtype bfloat16"});
}

BOOST_AUTO_TEST_SUITE_END()
