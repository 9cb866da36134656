// Properties of the schedules; tests/nn/test_module_goldens.cpp compares their values with Hugging Face's.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE train_schedules
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "neural_attention/train/schedules.hpp"

using neural_attention::ConfigError;
using neural_attention::Schedule;
using Kind = Schedule::Kind;

namespace {

constexpr Kind kinds[] = {Kind::Constant, Kind::Linear, Kind::Cosine, Kind::CosineWithMinimum, Kind::InverseSquareRoot};

bool near(double a, double b) { return std::abs(a - b) <= 1e-14; }

}  // namespace

BOOST_AUTO_TEST_SUITE(warm_up)

BOOST_AUTO_TEST_CASE(is_linear_from_zero_to_one) {
  for (const auto kind : kinds) {
    const Schedule schedule{kind, 10, 100};
    for (long step = 0; step < 10; ++step) BOOST_TEST(near(schedule.factor(step), double(step) / 10.0));
    BOOST_TEST(near(schedule.factor(10), 1.0));
  }
}

BOOST_AUTO_TEST_CASE(may_be_none) {
  for (const auto kind : kinds) BOOST_TEST(near((Schedule{kind, 0, 100}).factor(0), 1.0));
}

BOOST_AUTO_TEST_CASE(may_be_as_long_as_the_run_or_longer) {
  for (const auto kind : kinds)
    for (const long warmup : {100L, 150L}) {
      const Schedule schedule{kind, warmup, 100};
      BOOST_TEST(near(schedule.factor(99), 99.0 / double(warmup)));
      for (const long step : {100L, 150L, 200L}) {
        BOOST_TEST(std::isfinite(schedule.factor(step)));
        BOOST_TEST((schedule.factor(step) >= 0.0 && schedule.factor(step) <= 1.0));
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(each_schedule_has_one) {
  std::set<std::string> all;
  for (const auto kind : kinds) {
    const std::string name(name_of(kind));
    BOOST_TEST(all.insert(name).second);
    BOOST_TEST((neural_attention::value_named<Kind>(name, "") == kind), name);
  }
  BOOST_TEST(!all.contains(""));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(options)

BOOST_AUTO_TEST_CASE(are_constant_by_default) {
  const Schedule schedule;
  BOOST_CHECK_NO_THROW(schedule.validate());
  for (const long step : {0L, 1L, 1000000L}) BOOST_TEST(schedule.factor(step) == 1.0);
}

BOOST_AUTO_TEST_CASE(without_an_end_are_refused_where_the_rate_falls_to_it) {
  for (const auto kind : kinds)
    for (const long total : {0L, -1L}) {
      const Schedule schedule{kind, 10, total};
      if (kind == Kind::Linear || kind == Kind::Cosine || kind == Kind::CosineWithMinimum)
        BOOST_CHECK_THROW(schedule.validate(), ConfigError);
      else
        BOOST_CHECK_NO_THROW(schedule.validate());
    }
  for (const auto kind : kinds) {
    BOOST_CHECK_NO_THROW((Schedule{kind, 0, 1}.validate()));
    BOOST_CHECK_THROW((Schedule{kind, -1, 100}.validate()), ConfigError);
    for (const double rate : {-0.1, 1.1, std::nan("")})
      BOOST_CHECK_THROW((Schedule{kind, 0, 100, rate}.validate()), ConfigError);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(decay)

BOOST_AUTO_TEST_CASE(never_rises_and_stays_within_zero_and_one) {
  for (const auto kind : kinds) {
    const Schedule schedule{kind, 5, 60};
    double before = 1.0;
    for (long step = 5; step <= 60; ++step) {
      const double now = schedule.factor(step);
      BOOST_TEST((now >= 0.0 && now <= before));
      before = now;
    }
  }
}

BOOST_AUTO_TEST_CASE(has_its_own_form) {
  const long middle = 30, total = 50, warmup = 10;
  BOOST_TEST((Schedule{Kind::Constant, warmup, total}).factor(1000000) == 1.0);
  BOOST_TEST(near((Schedule{Kind::Linear, warmup, total}).factor(middle), 0.5));
  BOOST_TEST(near((Schedule{Kind::Linear, warmup, total}).factor(total - 1), 1.0 / 40.0));
  BOOST_TEST(near((Schedule{Kind::Cosine, warmup, total}).factor(middle), 0.5));
  BOOST_TEST(near((Schedule{Kind::Cosine, warmup, total}).factor(20), 0.5 + 0.25 * std::sqrt(2.0)));
  BOOST_TEST(near((Schedule{Kind::InverseSquareRoot, warmup, total}).factor(40), 0.5));
  BOOST_TEST(near((Schedule{Kind::InverseSquareRoot, 0, total}).factor(30000), 0.5));
  BOOST_TEST((Schedule{Kind::Cosine, warmup, total}).factor(total) == 0.0);
  BOOST_TEST(near((Schedule{Kind::CosineWithMinimum, warmup, total, 0.1}).factor(middle), 0.55));
  BOOST_TEST((Schedule{Kind::CosineWithMinimum, warmup, total, 0.1}).factor(total) == 0.1);
  for (const long step : {total, total + 1, 10 * total})
    BOOST_TEST((Schedule{Kind::Linear, warmup, total}).factor(step) == 0.0);
}

BOOST_AUTO_TEST_SUITE_END()
