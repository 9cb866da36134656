#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE chrf
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/metrics/chrf.hpp"
#include "neural_attention/metrics/significance.hpp"

namespace na = neural_attention;
namespace metrics = neural_attention::metrics;
using Json = nlohmann::json;
using Lines = std::vector<std::string>;
using Streams = std::vector<std::span<const std::string>>;

namespace {

Json read(const std::string& name) {
  const std::string path = std::string(NEURAL_ATTENTION_GOLDEN_DIR) + "/" + name;
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  return Json::parse(file);
}

const Json& golden() {
  static const Json json = read("chrf.json");
  return json;
}

metrics::ChrfOptions option(std::size_t i) { return {golden().at("options")[i][0], golden().at("options")[i][1]}; }

void check_near(double actual, const Json& expected, const std::string& what) {
  BOOST_CHECK_MESSAGE(std::abs(actual - expected.get<double>()) <= 1e-9,
                      what << ": " << actual << " instead of " << expected);
}

Lines first_segments(const std::vector<Lines>& streams) {
  Lines first;
  for (const auto& lines : streams) first.push_back(lines.at(0));
  return first;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scores)

BOOST_AUTO_TEST_CASE(agree_on_the_corpora_of_bleu) {
  const auto corpora = read("bleu.json").at("corpora");
  const auto& expected = golden().at("of_bleu");
  BOOST_REQUIRE_EQUAL(corpora.size(), expected.size());
  BOOST_REQUIRE_GT(expected.size(), 30u);
  BOOST_REQUIRE_EQUAL(golden().at("options").size(), 5u);
  for (std::size_t i = 0; i < corpora.size(); ++i) {
    const Lines hypotheses = corpora[i].at("hypotheses");
    const std::vector<Lines> references = corpora[i].at("references");
    for (std::size_t o = 0; o < 5; ++o)
      check_near(metrics::corpus_chrf(hypotheses, Streams(references.begin(), references.end()), option(o)).score,
                 expected[i].at(o), corpora[i].at("name").get<std::string>() + ", option " + std::to_string(o));
  }
}

BOOST_AUTO_TEST_CASE(agree_on_hard_corpora) {
  const auto& own = golden().at("own");
  BOOST_REQUIRE_GT(own.size(), 10u);
  for (const auto& corpus : own) {
    const Lines hypotheses = corpus.at("hypotheses");
    const std::vector<Lines> references = corpus.at("references");
    for (std::size_t o = 0; o < 5; ++o) {
      const auto what = corpus.at("name").get<std::string>() + ", option " + std::to_string(o);
      const auto& expected = corpus.at("scores").at(o);
      const auto chrf = metrics::corpus_chrf(hypotheses, Streams(references.begin(), references.end()), option(o));
      check_near(chrf.score, expected[0].at("score"), what);
      BOOST_CHECK_EQUAL(chrf.format(), expected[0].at("format").get<std::string>());
      BOOST_CHECK_EQUAL(chrf.signature(), expected[0].at("signature").get<std::string>());
      check_near(metrics::sentence_chrf(hypotheses[0], first_segments(references), option(o)).score, expected[1], what);
      if (references.size() == 1)
        check_near(metrics::corpus_chrf(hypotheses, references[0], option(o)).score, expected[0].at("score"), what);
    }
  }
}

BOOST_AUTO_TEST_CASE(agree_on_random_corpora) {
  const auto& random = golden().at("random");
  const Lines pieces = random.at("pieces");
  BOOST_REQUIRE_EQUAL(random.at("scores").size(), 60u);
  na::RandomStream draw(na::RandomKey{random.at("seed").get<std::uint64_t>()});
  const auto random_text = [&] {
    std::string text;
    for (auto left = draw.below(random.at("longest").get<std::uint32_t>() + 1); left > 0; --left)
      text += pieces[draw.below(static_cast<std::uint32_t>(pieces.size()))];
    return text;
  };
  for (const auto& expected : random.at("scores")) {
    const auto segments = 1 + draw.below(4);
    const auto references = 1 + draw.below(3);
    std::vector<Lines> texts(1 + references, Lines(segments));  // hypotheses first
    for (auto& lines : texts)
      for (auto& line : lines) line = random_text();
    const Streams streams(texts.begin() + 1, texts.end());
    for (std::size_t o = 0; o < 5; ++o)
      check_near(metrics::corpus_chrf(texts[0], streams, option(o)).score, expected.at(o),
                 "option " + std::to_string(o));
  }
}

BOOST_AUTO_TEST_CASE(of_broken_utf8_count_bytes_as_characters) {
  const Lines hypothesis = {"a\xC2 b\xFF"}, same = {"a \xC2 b \xFF"}, other = {"a \xC3 b \xFE"};
  BOOST_CHECK_EQUAL(metrics::corpus_chrf(hypothesis, same).score, 100);
  const auto score = metrics::corpus_chrf(hypothesis, other).score;
  BOOST_TEST((score > 0 && score < 50));
}

BOOST_AUTO_TEST_CASE(refuse_what_cannot_be_scored) {
  const Lines none, one = {"a"}, two = {"a", "b"};
  BOOST_CHECK_EXCEPTION(metrics::corpus_chrf(two, one), na::ShapeError, [](const na::Error& error) {
    return std::string(error.what()) ==
           "chrF needs one reference for each hypothesis, got 2 hypotheses and 1 references";
  });
  BOOST_CHECK_THROW(metrics::corpus_chrf(none, none), na::ConfigError);
  BOOST_CHECK_THROW(metrics::corpus_chrf(one, Streams{}), na::ConfigError);
  BOOST_CHECK_THROW(metrics::sentence_chrf("a", none), na::ConfigError);
  BOOST_CHECK_THROW(metrics::corpus_chrf(one, one, {3, 2}), na::ConfigError);
  BOOST_CHECK_THROW(metrics::corpus_chrf(one, one, {0, 0}), na::ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(significance)

// A system that loses every other character of each line is worse than one that loses none, beyond doubt; a system is
// not better than itself. The whole corpus' scores are those of corpus_chrf.
BOOST_AUTO_TEST_CASE(paired_bootstrap_takes_chrf) {
  Lines references, lossy;
  na::RandomStream draw(na::RandomKey{11});
  for (int line = 0; line < 40; ++line) {
    auto& reference = references.emplace_back();
    auto& half = lossy.emplace_back();
    for (int i = 0; i < 30; ++i) {
      reference += static_cast<char>('a' + draw.below(26));
      if (i % 2 == 0) half += reference.back();
    }
  }
  const auto result = metrics::paired_bootstrap_chrf(lossy, references, references, {}, 200);
  BOOST_CHECK_EQUAL(result.first.score, metrics::corpus_chrf(lossy, references).score);
  BOOST_CHECK_EQUAL(result.second.score, 100);
  BOOST_TEST((result.first.lower <= result.first.score && result.first.score <= result.first.upper));
  BOOST_TEST(result.p_value == 1.0 / 201);
  BOOST_TEST(metrics::paired_bootstrap_chrf(lossy, lossy, references, {}, 50).p_value == 1.0);
}

BOOST_AUTO_TEST_SUITE_END()
