// Paired comparisons against scipy and statsmodels (tests/reference/statistics.py), and what they say of simulated
// studies whose truth is known.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE paired_comparison
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/study/paired_comparison.hpp"
#include "neural_attention/study/verdict.hpp"

namespace na = neural_attention;
namespace study = neural_attention::study;
using Json = nlohmann::json;
using Scores = std::vector<double>;

namespace {

const Json& golden() {
  static const Json json = [] {
    std::ifstream file(NEURAL_ATTENTION_GOLDEN_DIR "/statistics.json");
    if (!file) throw std::runtime_error("cannot read statistics.json");
    return Json::parse(file);
  }();
  return json;
}

void check_near(double actual, const Json& expected, const std::string& what) {
  BOOST_CHECK_MESSAGE(std::abs(actual - expected.get<double>()) <= 1e-9,
                      what << ": " << actual << " instead of " << expected);
}

/// A study of two arms that share a part of what varies from seed to seed; the arm is `shift` higher.
study::PairedComparison simulated(std::uint64_t number, int seeds, double shift) {
  na::RandomStream random({number, static_cast<std::uint32_t>(seeds)});
  Scores control, arm;
  for (int i = 0; i < seeds; ++i) {
    const double common = 0.5 * random.normal();
    control.push_back(common + random.normal());
    arm.push_back(common + random.normal() + shift);
  }
  return study::compare_pairs(control, arm);
}

/// Of what varies in simulated(): the deviation of an arm's scores, and of differences of pairs.
const double seed_deviation = std::sqrt(1.25), pair_deviation = std::sqrt(2.0);

constexpr int studies = 2000;

}  // namespace

BOOST_AUTO_TEST_SUITE(reference)

BOOST_AUTO_TEST_CASE(comparisons_agree) {
  const auto& cases = golden().at("comparisons");
  BOOST_REQUIRE_GE(cases.size(), 10u);
  for (const auto& expected : cases) {
    const auto arm = expected.at("arm").get<Scores>();
    const auto actual = study::compare_pairs(expected.at("control").get<Scores>(), arm);
    BOOST_TEST_CONTEXT(arm.size() << " pairs, difference " << expected.at("difference")) {
      BOOST_CHECK_EQUAL(actual.pairs, static_cast<int>(arm.size()));
      check_near(actual.difference, expected.at("difference"), "difference");
      check_near(actual.deviation, expected.at("deviation"), "deviation");
      check_near(actual.lower, expected.at("lower"), "lower end");
      check_near(actual.upper, expected.at("upper"), "upper end");
      check_near(actual.p_value, expected.at("p_value"), "p value");
      check_near(actual.sign_flip_p, expected.at("sign_flip_p"), "p value of the sign-flip test");
      check_near(actual.least_sign_flip_p, std::pow(2.0, 1.0 - static_cast<double>(arm.size())), "its smallest");
      check_near(actual.seed_deviation, expected.at("seed_deviation"), "seed deviation");
      check_near(actual.effect, expected.at("effect"), "effect");
      BOOST_REQUIRE(actual.pairs_needed.has_value());
      BOOST_CHECK_EQUAL(*actual.pairs_needed, expected.at("pairs_needed").get<int>());
    }
  }
}

BOOST_AUTO_TEST_CASE(powers_agree) {
  BOOST_REQUIRE_GE(golden().at("power").size(), 7u);
  for (const auto& expected : golden().at("power"))
    check_near(
        study::power(expected.at("pairs"), expected.at("difference"), expected.at("deviation"), expected.at("level")),
        expected.at("power"), expected.dump());
}

BOOST_AUTO_TEST_CASE(corrections_agree) {
  BOOST_REQUIRE_GE(golden().at("holm").size(), 4u);
  for (const auto& expected : golden().at("holm")) {
    const auto corrected = study::holm(expected.at("p_values").get<Scores>());
    BOOST_REQUIRE_EQUAL(corrected.size(), expected.at("corrected").size());
    for (std::size_t i = 0; i < corrected.size(); ++i)
      check_near(corrected[i], expected.at("corrected")[i], "corrected p value");
  }
  BOOST_CHECK(study::holm({}).empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(edges)

BOOST_AUTO_TEST_CASE(scores_of_any_size_are_compared) {
  const Scores control = {1.5, 2.5, 0.5, 3.0}, arm = {2.0, 3.5, 0.75, 3.75};
  const auto usual = study::compare_pairs(control, arm);
  for (const int exponent : {1000, -900, 660, -600, 1}) BOOST_TEST_CONTEXT(exponent) {
      const auto times = [&](Scores scores) {
        for (double& score : scores) score = std::ldexp(score, exponent);
        return scores;
      };
      const auto found = study::compare_pairs(times(control), times(arm));
      for (const auto member :
           {&study::PairedComparison::difference, &study::PairedComparison::deviation, &study::PairedComparison::lower,
            &study::PairedComparison::upper, &study::PairedComparison::seed_deviation})
        BOOST_CHECK_EQUAL(found.*member, std::ldexp(usual.*member, exponent));
      BOOST_CHECK_EQUAL(found.p_value, usual.p_value);
      BOOST_CHECK_EQUAL(found.sign_flip_p, usual.sign_flip_p);
      BOOST_CHECK_EQUAL(found.effect, usual.effect);
      BOOST_CHECK((found.pairs_needed == usual.pairs_needed));
    }
  const auto largest = study::compare_pairs(Scores{0, 1e308}, Scores{1.7e308, 0});
  BOOST_TEST(largest.pairs_needed.has_value());
}

BOOST_AUTO_TEST_CASE(equal_arms_do_not_differ) {
  const Scores scores = {1.5, 2.5, 0.5};
  const auto same = study::compare_pairs(scores, scores);
  BOOST_CHECK_EQUAL(same.difference, 0.0);
  BOOST_CHECK_EQUAL(same.p_value, 1.0);
  BOOST_CHECK_EQUAL(same.sign_flip_p, 1.0);
  BOOST_CHECK_EQUAL(same.effect, 0.0);
  BOOST_CHECK_EQUAL(same.lower, 0.0);
  BOOST_CHECK_EQUAL(same.upper, 0.0);
  BOOST_CHECK(!same.pairs_needed);
}

BOOST_AUTO_TEST_CASE(several_comparisons_need_more_pairs) {
  const Scores control = {1.5, 2.5, 0.5, 1.1, 1.9}, arm = {1.6, 2.4, 0.7, 1.3, 1.9};
  const auto alone = study::compare_pairs(control, arm);
  const auto one_of_three = study::compare_pairs(control, arm, 3);
  const int pairs = one_of_three.pairs_needed.value();
  BOOST_TEST(pairs > alone.pairs_needed.value());
  BOOST_TEST(study::power(pairs, alone.difference, alone.deviation, 0.05 / 3) >= 0.8);
  BOOST_TEST(study::power(pairs - 1, alone.difference, alone.deviation, 0.05 / 3) < 0.8);
  BOOST_TEST(one_of_three.p_value == alone.p_value);
  BOOST_CHECK_THROW(study::compare_pairs(control, arm, 0), na::ConfigError);
}

BOOST_AUTO_TEST_CASE(differences_that_do_not_vary_are_certain) {
  const auto shifted = study::compare_pairs(Scores{1.0, 2.0, 4.0}, Scores{1.5, 2.5, 4.5});
  BOOST_CHECK_EQUAL(shifted.p_value, 0.0);
  BOOST_CHECK_EQUAL(shifted.lower, 0.5);
  BOOST_CHECK_EQUAL(shifted.upper, 0.5);
  BOOST_CHECK_EQUAL(shifted.sign_flip_p, 0.25);
  BOOST_REQUIRE(shifted.pairs_needed.has_value());
  BOOST_CHECK_EQUAL(*shifted.pairs_needed, 2);
  const auto constant = study::compare_pairs(Scores{1.0, 1.0}, Scores{2.0, 2.0});
  BOOST_CHECK(std::isinf(constant.effect) && constant.effect > 0);
}

BOOST_AUTO_TEST_CASE(arms_change_places) {
  const auto there = simulated(1, 5, 0.7);
  const Scores control = {1.0, 2.0, 3.0}, arm = {1.1, 2.4, 3.2};
  const auto forth = study::compare_pairs(control, arm), back = study::compare_pairs(arm, control);
  BOOST_CHECK_EQUAL(forth.difference, -back.difference);
  BOOST_CHECK_EQUAL(forth.lower, -back.upper);
  BOOST_CHECK_EQUAL(forth.p_value, back.p_value);
  BOOST_CHECK_EQUAL(forth.sign_flip_p, back.sign_flip_p);
  BOOST_CHECK_GT(there.upper, there.lower);
}

// Differences of 1 and -1: the sum of random signs is binomial.
BOOST_AUTO_TEST_CASE(signs_of_many_pairs_are_drawn) {
  constexpr int pairs = 40, positive = 26;
  Scores arm(pairs, -1.0);
  std::fill_n(arm.begin(), positive, 1.0);
  const Scores control(pairs, 0.0);
  const auto drawn = study::compare_pairs(control, arm);
  double exact = 0;
  for (int heads = positive; heads <= pairs; ++heads)
    exact += 2 * std::exp(std::lgamma(pairs + 1) - std::lgamma(heads + 1) - std::lgamma(pairs - heads + 1) -
                          pairs * std::log(2.0));
  const double error = std::sqrt(exact * (1 - exact) / study::PairedComparison::drawn_signs);
  BOOST_CHECK_SMALL(drawn.sign_flip_p - exact, 4 * error);
  BOOST_CHECK_EQUAL(study::compare_pairs(control, arm).sign_flip_p, drawn.sign_flip_p);
  BOOST_CHECK_EQUAL(study::compare_pairs(arm, control).sign_flip_p, drawn.sign_flip_p);
  // No choice among so few is as far as all 40 of one sign.
  BOOST_CHECK_EQUAL(study::compare_pairs(control, Scores(pairs, 1.0)).sign_flip_p, 1e-5);
  BOOST_CHECK_EQUAL(drawn.least_sign_flip_p, 1e-5);
  BOOST_CHECK_EQUAL(study::least_sign_flip_p(20), std::ldexp(1.0, -19));
}

BOOST_AUTO_TEST_CASE(more_pairs_than_are_possible_are_none) {
  const auto hopeless = study::compare_pairs(Scores{0.0, 0.0, 0.0, 0.0}, Scores{1.0, -1.0, 1.0, -0.999});
  BOOST_CHECK(!hopeless.pairs_needed);
}

// Few pairs and a hard level: a difference far above the deviation is still not certain to be found.
BOOST_AUTO_TEST_CASE(power_of_large_differences) {
  const auto at = [](double shift, int pairs, double level) {
    return study::power(pairs, shift / std::sqrt(double(pairs)), 1.0, level);
  };
  BOOST_CHECK_CLOSE(at(40.0, 3, 5e-5), 0.07692796, 0.1);  // scipy's nct
  BOOST_CHECK_CLOSE(at(35.01, 2, 0.005), at(34.99, 2, 0.005), 0.1);
  BOOST_CHECK_LT(at(36.0, 2, 0.005), 0.23);
}

BOOST_AUTO_TEST_CASE(power_grows_to_one) {
  BOOST_CHECK_EQUAL(study::power(5, 0.0, 1.0), 0.05);
  BOOST_CHECK_EQUAL(study::power(2, 1.0, 0.0), 1.0);
  BOOST_CHECK_CLOSE(study::power(5, -1.0, 1.0), study::power(5, 1.0, 1.0), 1e-9);
  BOOST_CHECK_EQUAL(study::power(1000, 1e300, 1e-300), 1.0);
  double last = 0.05;
  for (int pairs = 2; pairs <= 1000; pairs = pairs * 3 / 2 + 1) {
    const double now = study::power(pairs, 0.8, 1.0);
    BOOST_CHECK_GE(now, last);
    last = now;
  }
  BOOST_CHECK_GT(last, 0.999999);
}

BOOST_AUTO_TEST_CASE(refuses_what_has_no_meaning) {
  const Scores one = {1.0}, two = {1.0, 2.0}, many(1001, 1.0);
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinite = std::numeric_limits<double>::infinity();
  BOOST_CHECK_THROW(study::compare_pairs(one, two), na::ShapeError);
  BOOST_CHECK_THROW(study::compare_pairs(one, one), na::ConfigError);
  BOOST_CHECK_THROW(study::compare_pairs(many, many), na::ConfigError);
  BOOST_CHECK_EXCEPTION(study::compare_pairs(two, Scores{1.0, nan}), na::ConfigError, [](const na::Error& error) {
    return std::string(error.what()) == "pair 2 has no finite scores: 2 and nan";
  });
  BOOST_CHECK_THROW(study::compare_pairs(two, Scores{infinite, 2.0}), na::ConfigError);
  BOOST_CHECK_THROW(study::holm(Scores{0.5, 1.5}), na::ConfigError);
  BOOST_CHECK_THROW(study::holm(Scores{nan}), na::ConfigError);
  BOOST_CHECK_THROW(study::half_interval(1, 1.0), na::ConfigError);
  BOOST_CHECK_THROW(study::power(1, 1.0, 1.0), na::ConfigError);
  BOOST_CHECK_THROW(study::power(2, 1.0, -1.0), na::ConfigError);
  BOOST_CHECK_THROW(study::power(2, 1.0, 1.0, 0.0), na::ConfigError);
  BOOST_CHECK_THROW(study::judge(study::compare_pairs(two, two), 1.0, -0.1, study::Better::Lower), na::ConfigError);
  BOOST_CHECK_THROW(study::judge(study::compare_pairs(two, two), nan, 0.1, study::Better::Lower), na::ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(verdicts)

BOOST_AUTO_TEST_CASE(words_follow_from_the_numbers) {
  const Scores control = {2.00, 2.10, 1.90, 2.05}, lower = {1.90, 2.01, 1.79, 1.96}, near = {2.001, 2.099, 1.9, 2.051},
               wild = {1.7, 2.5, 1.6, 2.6};
  const auto say = [&](const Scores& arm, double p, double delta, study::Better better) {
    return study::judge(study::compare_pairs(control, arm), p, delta, better).text();
  };
  using study::Better;
  BOOST_CHECK_EQUAL(say(lower, 0.001, 0.05, Better::Lower), "better");
  BOOST_CHECK_EQUAL(say(lower, 0.001, 0.05, Better::Higher), "worse");
  BOOST_CHECK_EQUAL(say(lower, 0.001, 0.25, Better::Lower), "better, by less than 0.25");
  BOOST_CHECK_EQUAL(say(lower, 0.05, 0.05, Better::Lower), "undecided");
  BOOST_CHECK_EQUAL(say(near, 0.9, 0.02, Better::Lower), "no difference larger than 0.02");
  BOOST_CHECK_EQUAL(say(near, 0.9, 0.0, Better::Lower), "undecided");
  BOOST_CHECK_EQUAL(say(wild, 0.9, 0.02, Better::Lower), "undecided");
}

BOOST_AUTO_TEST_CASE(equal_arms_are_seldom_told_apart) {
  int told_apart = 0;
  for (int i = 0; i < studies; ++i) {
    const auto comparison = simulated(static_cast<std::uint64_t>(i), 5, 0.0);
    const auto word = study::judge(comparison, comparison.p_value, 0.1, study::Better::Lower).word;
    told_apart += word == study::Verdict::Word::Better || word == study::Verdict::Word::Worse;
  }
  BOOST_CHECK_LE(told_apart, studies * 6 / 100);
  BOOST_CHECK_GE(told_apart, studies * 4 / 100);  // 5 % are expected, 0.5 % is the standard error
}

BOOST_AUTO_TEST_CASE(three_equal_arms_are_seldom_told_apart_from_a_control) {
  int told_apart = 0;
  for (int i = 0; i < studies; ++i) {
    na::RandomStream random({static_cast<std::uint64_t>(i), 99});
    const auto draw = [&] {
      Scores scores(5);
      for (auto& score : scores) score = random.normal();
      return scores;
    };
    const auto control = draw();
    Scores p_values;
    for (int arm = 0; arm < 3; ++arm) p_values.push_back(study::compare_pairs(control, draw()).p_value);
    const auto corrected = study::holm(p_values);
    told_apart += std::ranges::any_of(corrected, [](double p) { return p < 0.05; });
  }
  BOOST_CHECK_LE(told_apart, studies * 6 / 100);
}

BOOST_AUTO_TEST_CASE(arms_that_differ_by_delta_are_seldom_called_alike) {
  for (const double delta : {0.2, 1.0, 3.0}) {
    int alike = 0;
    for (int i = 0; i < studies; ++i) {
      const auto comparison = simulated(static_cast<std::uint64_t>(i), 5, delta);
      alike += study::judge(comparison, comparison.p_value, delta, study::Better::Lower).within_delta;
    }
    BOOST_CHECK_LE(alike, studies * 6 / 100);
  }
}

BOOST_AUTO_TEST_CASE(equal_arms_are_called_alike_where_delta_is_large) {
  int alike = 0;
  for (int i = 0; i < studies; ++i) {
    const auto comparison = simulated(static_cast<std::uint64_t>(i), 5, 0.0);
    alike +=
        study::judge(comparison, comparison.p_value, 5.0, study::Better::Lower).word == study::Verdict::Word::NoLarger;
  }
  BOOST_CHECK_GE(alike, studies * 90 / 100);
}

BOOST_AUTO_TEST_CASE(an_effect_of_three_seed_deviations_is_found) {
  int found = 0;
  const double expected = study::power(5, 3 * seed_deviation, pair_deviation);
  for (int i = 0; i < studies; ++i) {
    const auto comparison = simulated(static_cast<std::uint64_t>(i), 5, -3 * seed_deviation);
    found +=
        study::judge(comparison, comparison.p_value, 0.1, study::Better::Lower).word == study::Verdict::Word::Better;
  }
  BOOST_CHECK_GE(found, studies * 80 / 100);
  // The power says how many: four standard errors of a count.
  BOOST_CHECK_SMALL(found - studies * expected, 4 * std::sqrt(studies * expected * (1 - expected)));
}

BOOST_AUTO_TEST_SUITE_END()
