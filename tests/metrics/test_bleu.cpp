// BLEU and its tokenizer against sacreBLEU 2.4.3 (tests/reference/bleu.py), and the paired bootstrap.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE bleu
#include <zlib.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/metrics/bleu.hpp"
#include "neural_attention/metrics/chrf.hpp"
#include "neural_attention/metrics/significance.hpp"
#include "neural_attention/metrics/tokenizers.hpp"

namespace na = neural_attention;
namespace metrics = neural_attention::metrics;
using Json = nlohmann::json;
using Lines = std::vector<std::string>;
using Streams = std::vector<std::span<const std::string>>;

namespace {

constexpr double tolerance = 1e-9;

const Json& golden() {
  static const Json json = [] {
    const std::string path = std::string(NEURAL_ATTENTION_GOLDEN_DIR) + "/bleu.json";
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    return Json::parse(file);
  }();
  return json;
}

std::string join(const Lines& parts, std::string_view separator) {
  std::string result;
  for (std::size_t i = 0; i < parts.size(); ++i) result.append(i == 0 ? "" : separator).append(parts[i]);
  return result;
}

Lines split(const std::string& line) {
  Lines result(1);
  for (const char c : line) {
    if (c == ' ')
      result.emplace_back();
    else
      result.back() += c;
  }
  return result;
}

Streams spans(const std::vector<Lines>& lines) { return Streams(lines.begin(), lines.end()); }

void check_near(double actual, double expected, const std::string& what) {
  BOOST_CHECK_MESSAGE(std::abs(actual - expected) <= tolerance, what << ": " << actual << " instead of " << expected);
}

void check_bleu(const metrics::Bleu& actual, const Json& expected, const std::string& name) {
  check_near(actual.score, expected.at("score"), name + ", score");
  check_near(actual.brevity_penalty, expected.at("bp"), name + ", brevity penalty");
  BOOST_REQUIRE_EQUAL(expected.at("precisions").size(), actual.precisions.size());
  for (std::size_t n = 0; n < actual.precisions.size(); ++n) {
    check_near(actual.precisions[n], expected.at("precisions")[n], name + ", precision " + std::to_string(n + 1));
    BOOST_CHECK_MESSAGE(actual.counts[n] == expected.at("counts")[n], name << ", count " << n + 1);
    BOOST_CHECK_MESSAGE(actual.totals[n] == expected.at("totals")[n], name << ", total " << n + 1);
  }
  BOOST_CHECK_MESSAGE(actual.sys_len == expected.at("sys_len"), name << ", hypothesis length " << actual.sys_len);
  BOOST_CHECK_MESSAGE(actual.ref_len == expected.at("ref_len"), name << ", reference length " << actual.ref_len);
  BOOST_CHECK_EQUAL(actual.format(), expected.at("format").get<std::string>());
  BOOST_CHECK_EQUAL(actual.signature(), expected.at("signature").get<std::string>());
}

/// Up to `longest` random pieces; the generator script draws the same ones.
std::string random_text(na::RandomStream& random, const Lines& pieces, std::uint32_t longest, std::size_t used,
                        std::string_view separator) {
  Lines drawn(random.below(longest + 1));
  for (auto& piece : drawn) piece = pieces[random.below(static_cast<std::uint32_t>(used))];
  return join(drawn, separator);
}

na::RandomStream stream(std::uint64_t seed) { return na::RandomStream(na::RandomKey{seed}); }

Lines drop_words(const Lines& lines, std::size_t every) {
  Lines result;
  for (const auto& line : lines) {
    Lines kept;
    const auto words = split(line);
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (i % every != every - 1) kept.push_back(words[i]);
    }
    result.push_back(join(kept, " "));
  }
  return result;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(tokenizer)

namespace {

std::string tokens(const std::string& text, metrics::BleuTokenizer tokenizer) {
  return join(metrics::tokenize(text, tokenizer), " ");
}

/// FNV-1a of the tokens of many texts.
class Digest {
 public:
  void add(const std::string& tokens) {
    for (const char c : tokens + '\xff') state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  }
  std::string text() const {
    std::array<char, 17> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(state_));
    return digits.data();
  }

 private:
  std::uint64_t state_ = 0xCBF29CE484222325u;
};

std::string encode(std::uint32_t code) {
  const auto tail = [code](int shift) { return static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xC0 | code >> 6), tail(0)};
  if (code < 0x10000) return {static_cast<char>(0xE0 | code >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | code >> 18), tail(12), tail(6), tail(0)};
}

}  // namespace

BOOST_AUTO_TEST_CASE(agrees_on_hard_cases) {
  const auto& cases = golden().at("tokenizer");
  BOOST_REQUIRE_GT(cases.size(), 200u);
  for (const auto& text : cases)
    BOOST_CHECK_EQUAL(tokens(text[0], metrics::BleuTokenizer::Mteval13a), text[1].get<std::string>());
}

BOOST_AUTO_TEST_CASE(agrees_with_every_tokenizer_of_sacrebleu) {
  const auto& hard = golden().at("tokenizer");
  const Lines texts = golden().at("unicode").at("texts");
  BOOST_REQUIRE_GT(texts.size(), 50u);
  BOOST_REQUIRE_EQUAL(golden().at("unicode").at("tokenizers").size(), 5u);
  for (const auto& [name, expected] : golden().at("unicode").at("tokenizers").items()) {
    const auto tokenizer = metrics::bleu_tokenizer(name);
    BOOST_TEST_CONTEXT(name) {
      for (std::size_t i = 0; i < texts.size(); ++i)
        BOOST_CHECK_EQUAL(tokens(texts[i], tokenizer), expected.at("unicode")[i].get<std::string>());
      for (std::size_t i = 0; i < hard.size(); ++i)
        BOOST_CHECK_EQUAL(tokens(hard[i][0], tokenizer), expected.at("hard")[i].get<std::string>());
    }
  }
}

BOOST_AUTO_TEST_CASE(agrees_on_random_text) {
  const auto& random = golden().at("random");
  const Lines pieces = random.at("pieces");
  const auto& how = random.at("tokenizer");
  for (const auto& [name, expected] : golden().at("unicode").at("tokenizers").items()) {
    BOOST_REQUIRE_EQUAL(expected.at("random").size(), 20u);
    auto draw = stream(random.at("seed"));
    for (const auto& digest : expected.at("random")) {
      Digest actual;
      for (int i = 0; i < how.at("block").get<int>(); ++i)
        actual.add(
            tokens(random_text(draw, pieces, how.at("longest"), pieces.size(), ""), metrics::bleu_tokenizer(name)));
      BOOST_CHECK_MESSAGE(actual.text() == digest.get<std::string>(), name);
    }
  }
}

BOOST_AUTO_TEST_CASE(agrees_on_every_character) {
  for (const auto& [name, by_name] : golden().at("unicode").at("tokenizers").items()) {
    const auto& expected = by_name.at("every_character");
    const auto block = expected.at("block").get<std::uint32_t>();
    std::uint32_t begin = 0;
    for (const auto& digest : expected.at("digests")) {
      if (begin == 0x20000) begin = 0xE0000;
      Digest actual;
      for (auto code = begin; code < begin + block; ++code) {
        if (code >= 0xD800 && code < 0xE000) continue;
        const auto c = encode(code);
        actual.add(tokens(c + "a" + c + "1" + c + "2." + c + ".3", metrics::bleu_tokenizer(name)));
      }
      BOOST_CHECK_MESSAGE(actual.text() == digest.get<std::string>(), name << " from " << std::hex << begin);
      begin += block;
    }
    BOOST_CHECK_EQUAL(begin, 0xE0000 + block);
  }
}

BOOST_AUTO_TEST_CASE(names_those_it_knows) {
  BOOST_CHECK_EXCEPTION(metrics::bleu_tokenizer("ja-mecab"), na::ConfigError, [](const na::Error& error) {
    return std::string(error.what()) == "BLEU's tokenizer must be one of 13a, intl, char, zh, none, not \"ja-mecab\"";
  });
}

BOOST_AUTO_TEST_CASE(keeps_broken_utf8_as_it_is) {
  const Lines expected = {"a\xC2", "b\xE2\x80", "\xFF", ".", "\xA0\x85"};
  BOOST_CHECK(metrics::tokenize("a\xC2 b\xE2\x80 \xFF. \xA0\x85", metrics::BleuTokenizer::Mteval13a) == expected);
  BOOST_CHECK(metrics::tokenize("\xE2", metrics::BleuTokenizer::Mteval13a) == Lines{"\xE2"});
}

BOOST_AUTO_TEST_CASE(strips_white_space_from_the_right_only) {
  BOOST_CHECK_EQUAL(na::strip_right(" a\u00a0b \u3000\t\u0085\n\u2028"), " a\u00a0b");
  BOOST_CHECK_EQUAL(na::strip_right("\u00a0 \u2003"), "");
  BOOST_CHECK_EQUAL(na::strip_right("a\u200b"), "a\u200b");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(scores)

BOOST_AUTO_TEST_CASE(agree_on_hard_corpora) {
  const auto& corpora = golden().at("corpora");
  BOOST_REQUIRE_GT(corpora.size(), 30u);
  for (const auto& corpus : corpora) {
    const std::string name = corpus.at("name");
    const Lines hypotheses = corpus.at("hypotheses");
    const std::vector<Lines> references = corpus.at("references");
    const auto streams = spans(references);
    check_bleu(metrics::corpus_bleu(hypotheses, streams), corpus.at("corpus"), name);
    check_bleu(metrics::corpus_bleu(hypotheses, streams, {.effective_order = true}), corpus.at("effective"),
               name + ", effective order");
    Lines first;
    for (const auto& lines : references) first.push_back(lines.at(0));
    check_bleu(metrics::sentence_bleu(hypotheses[0], first), corpus.at("first_sentence"), name + ", sentence");
    if (references.size() == 1) {
      check_bleu(metrics::corpus_bleu(hypotheses, references[0]), corpus.at("corpus"), name + ", one stream");
      check_bleu(metrics::sentence_bleu(hypotheses[0], first[0]), corpus.at("first_sentence"),
                 name + ", one reference");
    }
  }
}

BOOST_AUTO_TEST_CASE(agree_with_every_tokenizer_and_several_references) {
  auto corpora = golden().at("corpora");
  for (const auto& corpus : golden().at("unicode").at("corpora")) corpora.push_back(corpus);
  for (const auto& [name, by_name] : golden().at("unicode").at("tokenizers").items()) {
    const metrics::BleuOptions options{.tokenizer = metrics::bleu_tokenizer(name)};
    const auto& expected = by_name.at("corpora");
    BOOST_REQUIRE_EQUAL(expected.size(), corpora.size());
    for (std::size_t i = 0; i < corpora.size(); ++i) {
      const Lines hypotheses = corpora[i].at("hypotheses");
      const std::vector<Lines> references = corpora[i].at("references");
      const auto actual = metrics::corpus_bleu(hypotheses, spans(references), options);
      const auto what = name + ", " + corpora[i].at("name").get<std::string>();
      check_near(actual.score, expected[i][0], what);
      BOOST_CHECK_MESSAGE(actual.sys_len == expected[i][1] && actual.ref_len == expected[i][2], what << ", lengths");
      BOOST_CHECK_EQUAL(actual.signature(), expected[i][3].get<std::string>());
    }
  }
}

BOOST_AUTO_TEST_CASE(agree_on_random_corpora) {
  const auto& random = golden().at("random");
  const Lines words = random.at("words");
  const auto& expected = random.at("corpora");
  BOOST_REQUIRE_EQUAL(expected.at("scores").size(), 100u);
  BOOST_REQUIRE_EQUAL(expected.at("sentence_scores").size(), 100u);
  auto draw = stream(random.at("seed").get<std::uint64_t>() + 1);
  for (std::size_t corpus = 0; corpus < 100; ++corpus) {
    const auto segments = 1 + draw.below(6);
    const auto references = 1 + draw.below(3);
    std::vector<Lines> texts(1 + references, Lines(segments));  // hypotheses first
    for (auto& lines : texts) {
      for (auto& line : lines) line = random_text(draw, words, 12, words.size(), " ");
    }
    Lines first;
    for (std::size_t i = 1; i < texts.size(); ++i) first.push_back(texts[i][0]);
    const auto streams = spans(texts);
    const auto name = "corpus " + std::to_string(corpus);
    check_near(metrics::corpus_bleu(texts[0], std::span(streams).subspan(1)).score, expected.at("scores")[corpus],
               name);
    check_near(metrics::sentence_bleu(texts[0][0], first).score, expected.at("sentence_scores")[corpus], name);
  }
}

BOOST_AUTO_TEST_CASE(do_not_depend_on_the_order_of_segments) {
  const Lines hypotheses = {"a b c d e f", "g h i", ""}, references = {"a b c d x f", "g h i j", "k"};
  const Lines hypotheses_turned = {"", "g h i", "a b c d e f"}, references_turned = {"k", "g h i j", "a b c d x f"};
  const auto score = metrics::corpus_bleu(hypotheses, references).score;
  BOOST_CHECK_GT(score, 0);
  BOOST_CHECK_EQUAL(score, metrics::corpus_bleu(hypotheses_turned, references_turned).score);
}

BOOST_AUTO_TEST_CASE(format_rounds_as_asked) {
  metrics::Bleu bleu;
  bleu.score = 12.3456;
  BOOST_CHECK(bleu.format(4).starts_with("BLEU = 12.3456 0.0/0.0/0.0/0.0 (BP = "));
  BOOST_CHECK(bleu.format(0).starts_with("BLEU = 12 0.0"));
}

BOOST_AUTO_TEST_CASE(refuse_what_cannot_be_scored) {
  const Lines none, one = {"a"}, two = {"a", "b"};
  const auto names_both = [](const na::Error& error) {
    return contains(error.what(), "2 hypotheses") && contains(error.what(), "1 references");
  };
  BOOST_CHECK_EXCEPTION(metrics::corpus_bleu(two, one), na::ShapeError, names_both);
  const Streams uneven = {two, one};
  BOOST_CHECK_EXCEPTION(metrics::corpus_bleu(two, uneven), na::ShapeError, [&](const na::ShapeError& error) {
    return names_both(error) && contains(error.what(), "stream 2");
  });
  BOOST_CHECK_THROW(metrics::corpus_bleu(none, one), na::ShapeError);
  BOOST_CHECK_THROW(metrics::corpus_bleu(none, none), na::ConfigError);
  BOOST_CHECK_THROW(metrics::corpus_bleu(one, Streams{}), na::ConfigError);
  BOOST_CHECK_THROW(metrics::sentence_bleu("a", none), na::ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(significance)

BOOST_AUTO_TEST_CASE(agrees_with_resampled_reference_scores) {
  const auto& random = golden().at("random");
  const auto& expected = random.at("bootstrap");
  const Lines words = random.at("words");
  auto draw = stream(random.at("seed").get<std::uint64_t>() + 2);
  Lines references(expected.at("segments").get<std::size_t>());
  for (auto& line : references) line = random_text(draw, words, expected.at("longest"), expected.at("words"), " ");
  const auto actual = metrics::paired_bootstrap_bleu(drop_words(references, 3), drop_words(references, 5), references,
                                                     {}, expected.at("samples"), expected.at("seed"));
  const auto check = [](const metrics::BootstrapEstimate& estimate, const Json& json) {
    check_near(estimate.score, json.at("score"), "score");
    check_near(estimate.mean, json.at("mean"), "mean");
    check_near(estimate.lower, json.at("lower"), "lower end");
    check_near(estimate.upper, json.at("upper"), "upper end");
  };
  check(actual.first, expected.at("first"));
  check(actual.second, expected.at("second"));
  check(actual.difference, expected.at("difference"));
  check_near(actual.p_value, expected.at("p_value"), "p value");
  BOOST_CHECK_EQUAL(actual.samples, expected.at("samples").get<int>());
}

BOOST_AUTO_TEST_CASE(equal_systems_do_not_differ) {
  const Lines system = {"a b c d e", "f g h i", "k l m n o"}, references = {"a b c d f", "f g h i", "k l x n o"};
  const auto result = metrics::paired_bootstrap_bleu(system, system, references, {}, 100);
  BOOST_CHECK_EQUAL(result.p_value, 1.0);
  BOOST_CHECK_EQUAL(result.difference.lower, 0.0);
  BOOST_CHECK_EQUAL(result.difference.upper, 0.0);
  BOOST_CHECK_LT(result.first.lower, result.first.upper);
}

BOOST_AUTO_TEST_CASE(takes_several_references_and_any_tokenizer) {
  const Lines first = {"一只狗", "两个人走"}, second = {"一只猫在", "两个人在走"};
  const Lines references = {"一只狗在跑", "两个人在走"}, others = {"一条狗跑", "有两人走"};
  const Streams both = {references, others}, twice = {references, references};
  const metrics::BleuOptions options{.tokenizer = metrics::BleuTokenizer::Chinese};
  const auto result = metrics::paired_bootstrap_bleu(first, second, both, options, 50);
  BOOST_CHECK_EQUAL(result.first.score, metrics::corpus_bleu(first, both, options).score);
  BOOST_CHECK_EQUAL(result.second.score, metrics::corpus_bleu(second, both, options).score);
  BOOST_CHECK_EQUAL(metrics::paired_bootstrap_bleu(first, second, twice, options, 50).difference.mean,
                    metrics::paired_bootstrap_bleu(first, second, references, options, 50).difference.mean);
}

BOOST_AUTO_TEST_CASE(depends_on_the_seed_only) {
  const Lines first = {"a b c d e", "f g h i", "k l m n o"}, second = {"a b c d f", "f g i", "k l m n o p"};
  const Lines references = {"a b c d f", "f g h i", "k l x n o"};
  const auto mean = [&](std::uint64_t seed) {
    return metrics::paired_bootstrap_bleu(first, second, references, {}, 100, seed).difference.mean;
  };
  BOOST_CHECK_EQUAL(mean(1), mean(1));
  BOOST_CHECK_NE(mean(1), mean(2));
}

namespace {

/// The mean of numbers: here the bootstrap has a known answer.
struct Mean {
  double sum = 0;
  int count = 0;
  Mean& operator+=(const Mean& other) {
    sum += other.sum;
    count += other.count;
    return *this;
  }
};

constexpr auto mean_of = [](const Mean& m) { return m.sum / m.count; };

struct Systems {
  std::vector<Mean> first, second;
};

Systems drawn_systems(std::uint64_t seed, double shift, int segments) {
  auto draw = stream(seed);
  Systems systems;
  for (int i = 0; i < segments; ++i) {
    const double common = 3 * draw.normal();  // a hard segment is hard for both
    systems.first.push_back({common + draw.normal(), 1});
    systems.second.push_back({common + draw.normal() + shift, 1});
  }
  return systems;
}

metrics::PairedBootstrap compare_means(std::uint64_t seed, double shift, int segments, int samples) {
  const auto [first, second] = drawn_systems(seed, shift, segments);
  return metrics::paired_bootstrap<Mean>(first, second, mean_of, samples, stream(seed + 1'000'000));
}

metrics::ApproximateRandomisation exchange_means(std::uint64_t seed, double shift, int segments, int trials) {
  const auto [first, second] = drawn_systems(seed, shift, segments);
  return metrics::approximate_randomisation<Mean>(first, second, mean_of, trials, stream(seed + 1'000'000));
}

}  // namespace

BOOST_AUTO_TEST_CASE(interval_and_p_value_have_their_meaning) {
  // The difference of two means of 100 numbers has the standard error sqrt(2 / 100) = 0.141.
  const auto clear = compare_means(1, 1.0, 100, 1000);
  BOOST_CHECK_LT(clear.p_value, 0.01);
  BOOST_CHECK_GT(clear.difference.lower, 0.0);
  const double width = clear.difference.upper - clear.difference.lower;
  BOOST_CHECK_CLOSE(width, 2 * 1.96 * std::sqrt(0.02), 20.0);
  BOOST_CHECK_SMALL(clear.difference.mean - clear.difference.score, 0.03);

  // Without a difference one test in 20 says "p < 0.05" and one interval in 20 misses 0.
  int found = 0, missed = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto none = compare_means(seed, 0.0, 60, 200);
    found += none.p_value < 0.05;
    missed += none.difference.lower > 0 || none.difference.upper < 0;
  }
  BOOST_CHECK_GE(found, 6);
  BOOST_CHECK_LE(found, 40);
  BOOST_CHECK_GE(missed, 6);
  BOOST_CHECK_LE(missed, 45);
}

BOOST_AUTO_TEST_CASE(refuses_what_cannot_be_compared) {
  const Lines none, one = {"a"}, two = {"a", "b"};
  const std::vector<Mean> first(2), second(3);
  const auto names_both = [](const na::Error& error) { return contains(error.what(), "got 2 and 3"); };
  BOOST_CHECK_EXCEPTION(metrics::paired_bootstrap<Mean>(first, second, mean_of, 10, stream(1)), na::ShapeError,
                        names_both);
  BOOST_CHECK_THROW(metrics::paired_bootstrap<Mean>({}, {}, mean_of, 10, stream(1)), na::ConfigError);
  BOOST_CHECK_THROW(metrics::paired_bootstrap_bleu(two, one, two), na::ShapeError);
  BOOST_CHECK_THROW(metrics::paired_bootstrap_bleu(none, none, none), na::ConfigError);
  BOOST_CHECK_THROW(metrics::paired_bootstrap_bleu(two, two, two, {}, 0), na::ConfigError);
  const Streams references = {two};
  BOOST_CHECK_THROW(metrics::approximate_randomisation_bleu(two, one, references), na::ShapeError);
  BOOST_CHECK_THROW(metrics::approximate_randomisation_bleu(two, two, references, {}, 0), na::ConfigError);
}

BOOST_AUTO_TEST_CASE(randomisation_finds_the_share_of_all_exchanges) {
  constexpr int segments = 10, trials = 20'000;
  for (const double shift : {0.0, 0.5, 1.5}) {
    const auto [first, second] = drawn_systems(3, shift, segments);
    const auto difference = [&](unsigned exchanges) {
      double sum = 0;
      for (unsigned i = 0; i < segments; ++i)
        sum += (exchanges >> i & 1u ? -1 : 1) * (second[i].sum - first[i].sum) / segments;
      return sum;
    };
    int as_large = 0;
    for (unsigned exchanges = 0; exchanges < 1u << segments; ++exchanges)
      as_large += std::abs(difference(exchanges)) >= std::abs(difference(0)) - 1e-12;
    const double exact = as_large / double(1u << segments);
    const auto found = exchange_means(3, shift, segments, trials);
    BOOST_CHECK_CLOSE(found.difference, difference(0), 1e-9);
    BOOST_CHECK_EQUAL(found.trials, trials);
    BOOST_CHECK_SMALL(found.p_value - exact, 4 * std::sqrt(exact * (1 - exact) / trials) + 1.0 / trials);
  }
}

BOOST_AUTO_TEST_CASE(randomisation_seldom_finds_what_is_not_there) {
  int found = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) found += exchange_means(seed, 0.0, 60, 200).p_value < 0.05;
  BOOST_CHECK_GE(found, 6);
  BOOST_CHECK_LE(found, 40);
}

/// BLEU's statistics without a subtraction, so that every trial adds up all segments.
struct Added {
  metrics::BleuStatistics sum;
  Added& operator+=(const Added& other) {
    sum += other.sum;
    return *this;
  }
};

BOOST_AUTO_TEST_CASE(tests_of_statistics_are_those_of_texts) {
  Lines references, first, second;
  for (int i = 0; i < 40; ++i) {
    references.push_back("a b c d e f " + std::to_string(i));
    first.push_back(i % 3 == 0 ? "a b x d e f g" : references.back());
    second.push_back(i % 4 == 0 ? "a b c d y f" : references.back());
  }
  const Streams streams = {references};
  const auto of_first = metrics::bleu_statistics(first, streams), of_second = metrics::bleu_statistics(second, streams);
  const auto exchanged = metrics::approximate_randomisation_bleu(first, second, streams, {}, 500);
  BOOST_CHECK_EQUAL(metrics::approximate_randomisation_bleu(of_first, of_second, {}, 500).p_value, exchanged.p_value);
  std::vector<Added> all_first, all_second;
  for (std::size_t i = 0; i < of_first.size(); ++i) {
    all_first.push_back({of_first[i]});
    all_second.push_back({of_second[i]});
  }
  const auto added = metrics::approximate_randomisation<Added>(
      all_first, all_second, [](const Added& all) { return metrics::bleu_score(all.sum).score; }, 500, stream(12345));
  BOOST_CHECK_EQUAL(added.p_value, exchanged.p_value);
  BOOST_CHECK_EQUAL(added.difference, exchanged.difference);
  BOOST_CHECK(added.p_value > 0.01 && added.p_value < 1);
  BOOST_CHECK_EQUAL(metrics::paired_bootstrap_bleu(of_first, of_second, {}, 100).difference.mean,
                    metrics::paired_bootstrap_bleu(first, second, streams, {}, 100).difference.mean);
}

BOOST_AUTO_TEST_CASE(randomisation_compares_corpora) {
  const Lines first = {"a b c d e", "f g h i", "k l m n o"}, second = {"a b c d f", "f g i", "k l m n o p"};
  const Lines references = {"a b c d f", "f g h i", "k l x n o"};
  const Streams one = {references};
  const auto result = metrics::approximate_randomisation_bleu(first, second, one, {}, 100);
  BOOST_CHECK_EQUAL(result.difference,
                    metrics::corpus_bleu(second, one, {}).score - metrics::corpus_bleu(first, one, {}).score);
  BOOST_CHECK_EQUAL(metrics::approximate_randomisation_bleu(first, first, one, {}, 100).p_value, 1.0);
  const auto back = metrics::approximate_randomisation_bleu(second, first, one, {}, 100);
  BOOST_CHECK_EQUAL(back.difference, -result.difference);
  BOOST_CHECK_EQUAL(back.p_value, result.p_value);
  const auto chrf = metrics::approximate_randomisation_chrf(first, second, one, {}, 100);
  BOOST_CHECK_EQUAL(chrf.difference,
                    metrics::corpus_chrf(second, one, {}).score - metrics::corpus_chrf(first, one, {}).score);
}

BOOST_AUTO_TEST_SUITE_END()

// Multi30k's text may not be passed on, so the golden file has only scores, of changes that the script makes as well.
BOOST_AUTO_TEST_SUITE(bleu_data)

namespace {

Lines read_gzip(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), &gzclose);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::string text;
  std::array<char, 1 << 14> block;
  for (int size = 0; (size = gzread(file.get(), block.data(), static_cast<unsigned>(block.size()))) != 0;) {
    if (size < 0) throw std::runtime_error("cannot decompress " + path);
    text.append(block.data(), static_cast<std::size_t>(size));
  }
  Lines lines;
  for (std::size_t start = 0; start < text.size();) {
    const auto end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

Lines swap_words(const Lines& lines) {
  Lines result;
  for (const auto& line : lines) {
    auto words = split(line);
    for (std::size_t i = 0; i + 1 < words.size(); i += 5) std::swap(words[i], words[i + 1]);
    result.push_back(join(words, " "));
  }
  return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(agrees_on_multi30k) {
  const char* folder = std::getenv("NEURAL_ATTENTION_DATA_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::puts("SKIPPED: NEURAL_ATTENTION_DATA_DIR is not set, BLEU was not compared on Multi30k");
    return;
  }
  const std::string path = std::string(folder) + "/multi30k/test_2016_flickr.";
  const auto english = read_gzip(path + "en.gz"), german = read_gzip(path + "de.gz");
  const auto& expected = golden().at("multi30k");
  BOOST_REQUIRE_EQUAL(english.size(), expected.at("segments").get<std::size_t>());

  const auto drop7 = drop_words(english, 7), swap5 = swap_words(english);
  auto rotated = english;
  std::rotate(rotated.begin(), rotated.begin() + 1, rotated.end());
  Lines hyphens, blank10;
  for (std::size_t i = 0; i < english.size(); ++i) {
    hyphens.push_back(na::replace_all(english[i], " a ", "-1,5."));
    blank10.push_back(i % 10 == 0 ? "" : english[i]);
  }

  const auto& scores = expected.at("scores");
  std::size_t compared = 0;
  const auto check = [&](const char* name, const metrics::Bleu& bleu) {
    check_near(bleu.score, scores.at(name), name);
    ++compared;
  };
  check("identical", metrics::corpus_bleu(english, english));
  check("drop7", metrics::corpus_bleu(drop7, english));
  check("longer", metrics::corpus_bleu(english, drop7));
  check("swap5", metrics::corpus_bleu(swap5, english));
  check("hyphens", metrics::corpus_bleu(hyphens, english));
  check("blank10", metrics::corpus_bleu(blank10, english));
  check("rotated", metrics::corpus_bleu(rotated, english));
  check("german", metrics::corpus_bleu(german, english));
  check("two_references", metrics::corpus_bleu(drop7, Streams{rotated, swap5}));
  BOOST_CHECK_EQUAL(compared, scores.size());

  double sum = 0;
  for (std::size_t i = 0; i < english.size(); ++i) sum += metrics::sentence_bleu(drop7[i], english[i]).score;
  BOOST_CHECK_SMALL(sum - expected.at("sentence_sum").get<double>(), tolerance * static_cast<double>(english.size()));
}

BOOST_AUTO_TEST_SUITE_END()
