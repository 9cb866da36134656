// The counts of test.segments: scores follow from them as from the texts.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE sentence_counts
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "examples/programs.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/metrics/significance.hpp"
#include "projector_study/test_sentences.hpp"

using namespace programs;
using namespace examples;

namespace {

/// Long and short, without a match, without words, in other scripts.
const std::vector<std::string> references = {"the black cat sat on the mat , didn't it ?",
                                             "a",
                                             "",
                                             "ein Wort",
                                             "kurz",
                                             "two dogs play in the snow . one of them is brown",
                                             "日本語の文です。"};
const std::vector<std::string> translations = {"the black cat sat on a mat , did it ?",
                                               "a",
                                               "something",
                                               "",
                                               "  ",
                                               "two dogs are playing in snow . they are brown",
                                               "日本の文です。"};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(sentences_of_a_test_set, Folder)

BOOST_AUTO_TEST_CASE(are_kept_as_counts) {
  for (const auto& [tokenizer, name] : na::metrics::bleu_tokenizers) {
    study::StudyConfig config;
    config.flags["tokenize"] = name;
    const auto options = bleu_options(config);
    BOOST_TEST_CONTEXT("tokenizer " << name) {
      BOOST_TEST((options.tokenizer == tokenizer));
      const auto made = count_sentences(translations, references, options);
      const auto file = folder / "test.segments";
      write(file, segments_text(made, file));
      BOOST_TEST(lines_of(content(file)).size() == references.size());
      const auto read = read_segments(file);
      BOOST_REQUIRE(read.bleu.size() == references.size());
      for (std::size_t i = 0; i < references.size(); ++i) {
        BOOST_TEST(read.bleu[i].counts == made.bleu[i].counts, boost::test_tools::per_element());
        BOOST_TEST(read.bleu[i].totals == made.bleu[i].totals, boost::test_tools::per_element());
        BOOST_TEST(read.bleu[i].sys_len == made.bleu[i].sys_len);
        BOOST_TEST(read.bleu[i].ref_len == made.bleu[i].ref_len);
        BOOST_TEST(read.chrf[i].matches == made.chrf[i].matches, boost::test_tools::per_element());
        BOOST_TEST(read.chrf[i].hypothesis == made.chrf[i].hypothesis, boost::test_tools::per_element());
        BOOST_TEST(read.chrf[i].reference == made.chrf[i].reference, boost::test_tools::per_element());
      }
      BOOST_TEST(bleu_of(sum_of(read.bleu), options) ==
                 na::metrics::corpus_bleu(translations, references, options).score);
      BOOST_TEST(chrf_of(sum_of(read.chrf)) == na::metrics::corpus_chrf(translations, references).score);
    }
  }
}

BOOST_AUTO_TEST_CASE(that_cannot_be_are_refused) {
  const auto file = folder / "test.segments";
  const auto refused = [&](const std::string& text, const std::string& part) {
    write(file, text);
    BOOST_CHECK_EXCEPTION(read_segments(file), na::FileError, [&](const na::FileError& error) {
      const std::string message = error.what();
      BOOST_TEST((contains(message, "test.segments") && contains(message, part)), message);
      return true;
    });
  };
  const std::string good = "[3,2,1,0,4,5,9,8,7,6,5,4,12,14]\n";
  write(file, good);
  BOOST_TEST(read_segments(file).bleu.size() == 1u);
  refused("", "is empty");
  refused(good + "[1]\n", "line 2");
  refused("{}\n", "no list of 14 whole numbers");
  refused("[3,2,1,0,4,5,9,8,7,6,5,4,12,14.5]\n", "no list of 14 whole numbers");
  refused("[3,2,1,2,4,5,9,8,7,6,5,4,12,14]\n", "counts that no sentence");  // four words have one 4-gram
  refused("[3,2,1,0,4,-5,9,8,7,6,5,4,12,14]\n", "counts that no sentence");
  refused("[3,2,1,0,4,5,9,8,7,6,5,4,12,0]\n", "counts that no sentence");  // matches with nothing
  refused("[3,2,1,0,4,5,9,8,7,6,5,4,12,99999999999]\n", "counts that no sentence");
  write(file, good.substr(0, 9));
  BOOST_CHECK_THROW(read_segments(file), na::FileError);
}

BOOST_AUTO_TEST_CASE(have_samples) {
  const auto file = folder / "test.json";
  const auto scores =
      test_scores(count_sentences(translations, references, {}), {{"a", "b"}, {"c", "d"}, {"e", "f"}}, {});
  write(file, scores.dump());
  const auto samples = read_samples(file);
  BOOST_TEST(samples.sources == std::vector<std::string>({"a", "b"}), boost::test_tools::per_element());
  BOOST_TEST(samples.references == std::vector<std::string>({"c", "d"}), boost::test_tools::per_element());
  BOOST_TEST(samples.translations == std::vector<std::string>({"e", "f"}), boost::test_tools::per_element());
  write(file, R"({"sources": ["a"], "references": ["b"], "translations": []})");
  BOOST_CHECK_THROW(read_samples(file), na::FileError);
}

BOOST_AUTO_TEST_SUITE_END()
