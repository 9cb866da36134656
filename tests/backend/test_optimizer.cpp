// Update rules and the gradient norm against plain loops in double: Adam, AdamW and SGD as formulas, and every rule of
// the list as what its function does to single numbers.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_optimizer
#include <array>
#include <boost/test/unit_test.hpp>
#include <set>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "backend/backends.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

constexpr double clipping_scale = 0.5;

}  // namespace

BOOST_AUTO_TEST_SUITE(adam)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, RealBackends) {
  using T = typename B::Scalar;
  constexpr double roundings = 16;
  constexpr int steps = 5;
  for (const int n : {1, 15, 16, 777, 70001}) {
    for (const bool decoupled : {true, false}) {
      const auto first_value = Matrix<T>::normal(1, n, 1);
      std::vector<double> w(static_cast<std::size_t>(n)), m(w.size()), v(w.size());
      for (int i = 0; i < n; ++i) w[static_cast<std::size_t>(i)] = double(first_value(0, i));
      B one(1), seven(7);
      auto value = first_value, value7 = first_value;
      Matrix<T> first(1, n), second(1, n), first7(1, n), second7(1, n);
      AdamRule how{.learning_rate = 0.01,
                   .beta1 = 0.9,
                   .beta2 = 0.98,
                   .epsilon = 1e-6,
                   .weight_decay = 0.1,
                   .decoupled = decoupled,
                   .step = 0};
      SharedOutcome outcome({.gradient_scale = clipping_scale});
      for (how.step = 1; how.step <= steps; ++how.step) {
        auto gradient = Matrix<T>::normal(1, n, 100 + static_cast<unsigned>(how.step));
        one(ops::Update<B, AdamRule>{.rule = how,
                                     .gradient = gradient.view(),
                                     .value = value.view(),
                                     .moments = {first.view(), second.view()},
                                     .outcome = outcome.place()});
        seven(ops::Update<B, AdamRule>{.rule = how,
                                       .gradient = gradient.view(),
                                       .value = value7.view(),
                                       .moments = {first7.view(), second7.view()},
                                       .outcome = outcome.place()});
        for (std::size_t i = 0; i < w.size(); ++i) {
          double g = double(gradient(0, static_cast<int>(i))) * clipping_scale;
          if (decoupled)
            w[i] -= how.learning_rate * how.weight_decay * w[i];
          else
            g += how.weight_decay * w[i];
          m[i] = how.beta1 * m[i] + (1 - how.beta1) * g;
          v[i] = how.beta2 * v[i] + (1 - how.beta2) * g * g;
          const double step = static_cast<double>(how.step);
          const double denominator = std::sqrt(v[i]) / std::sqrt(1 - std::pow(how.beta2, step)) + how.epsilon;
          w[i] -= how.learning_rate / (1 - std::pow(how.beta1, step)) * m[i] / denominator;
        }
      }
      const auto size = [&](int, int) { return 10.0; };
      require_close<T>(
          "value", value, roundings, [&](int, int i) { return w[static_cast<std::size_t>(i)]; }, size);
      require_close<T>(
          "first moment", first, roundings, [&](int, int i) { return m[static_cast<std::size_t>(i)]; }, size);
      require_close<T>(
          "second moment", second, roundings, [&](int, int i) { return v[static_cast<std::size_t>(i)]; }, size);
      require_same_bits<T>("value with 7 threads", value, value7);
      require_same_bits<T>("first moment with 7 threads", first, first7);
      require_same_bits<T>("second moment with 7 threads", second, second7);
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(first_step_moves_by_the_learning_rate, B, RealBackends) {
  using T = typename B::Scalar;
  B backend(1);
  Matrix<T> gradient(1, 20), value(1, 20), first(1, 20), second(1, 20);
  SharedOutcome outcome;
  for (int i = 0; i < 20; ++i) gradient(0, i) = T(i % 2 ? 1 : -1) * T(i + 1);
  backend(ops::Update<B, AdamRule>{.rule = {.learning_rate = 0.125, .epsilon = 0.0},
                                   .gradient = gradient.view(),
                                   .value = value.view(),
                                   .moments = {first.view(), second.view()},
                                   .outcome = outcome.place()});
  for (int i = 0; i < 20; ++i) BOOST_TEST(close(value(0, i), i % 2 ? -0.125 : 0.125, 1, 4));
  // A gradient that was always zero moves nothing, and epsilon keeps 0/0 away.
  Matrix<T> zero(1, 20), still(1, 20), first0(1, 20), second0(1, 20);
  backend(ops::Update<B, AdamRule>{.rule = {.learning_rate = 0.125},
                                   .gradient = zero.view(),
                                   .value = still.view(),
                                   .moments = {first0.view(), second0.view()},
                                   .outcome = outcome.place()});
  for (int i = 0; i < 20; ++i) BOOST_TEST(still(0, i) == T(0));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sgd)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, RealBackends) {
  using T = typename B::Scalar;
  constexpr double roundings = 16;
  constexpr int steps = 5;
  SharedOutcome outcome({.gradient_scale = clipping_scale});
  for (const int n : {1, 15, 16, 777, 70001}) {
    const auto check = [&](const auto& how, double momentum, bool nesterov) {
      using Rule = std::decay_t<decltype(how)>;
      auto value = Matrix<T>::normal(1, n, 1), value7 = value;
      std::vector<double> w(static_cast<std::size_t>(n)), u(w.size());
      for (int i = 0; i < n; ++i) w[static_cast<std::size_t>(i)] = double(value(0, i));
      B one(1), seven(7);
      Matrix<T> velocity(1, n), velocity7(1, n);
      for (unsigned step = 1; step <= steps; ++step) {
        auto gradient = Matrix<T>::normal(1, n, 100 + step);
        ops::Update<B, Rule> op{
            .rule = how, .gradient = gradient.view(), .value = value.view(), .outcome = outcome.place()};
        for (auto& moment : op.moments) moment = velocity.view();
        one(op);
        op.value = value7.view();
        for (auto& moment : op.moments) moment = velocity7.view();
        seven(op);
        for (std::size_t i = 0; i < w.size(); ++i) {
          const double g = double(gradient(0, static_cast<int>(i))) * clipping_scale + how.weight_decay * w[i];
          u[i] = momentum * u[i] + g;
          w[i] -= how.learning_rate * (nesterov ? g + momentum * u[i] : u[i]);
        }
      }
      const auto size = [&](int, int) { return 10.0; };
      require_close<T>(
          "value", value, roundings, [&](int, int i) { return w[static_cast<std::size_t>(i)]; }, size);
      if (momentum > 0.0)
        require_close<T>(
            "velocity", velocity, roundings, [&](int, int i) { return u[static_cast<std::size_t>(i)]; }, size);
      require_same_bits<T>("value with 7 threads", value, value7);
      require_same_bits<T>("velocity with 7 threads", velocity, velocity7);
    };
    check(SgdRule{.learning_rate = 0.05, .weight_decay = 0.1}, 0.0, false);
    for (const bool nesterov : {false, true})
      check(SgdMomentumRule{.learning_rate = 0.05, .momentum = 0.9, .nesterov = nesterov, .weight_decay = 0.1}, 0.9,
            nesterov);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(every_rule)

namespace {

/// use(rule) for each rule of the list, with settings that make all of its terms count.
template <class... Rules>
void for_each_rule(UpdateRuleList<Rules...>, auto&& use) {
  const auto with_settings = [&](auto rule) {
    rule.learning_rate = 0.01;
    rule.weight_decay = 0.1;
    BOOST_TEST_CONTEXT(rule.name) { use(rule); }
  };
  (with_settings(Rules{}), ...);
}

/// Views of the moments, which are rows of a matrix.
template <class T>
auto rows_of(Matrix<T>& moments, auto count) {
  std::array<RowsOf<T>, decltype(count)::value> rows;
  int next = 0;
  for (auto& row : rows) row = moments.view().slice(next++, 1);
  return rows;
}

}  // namespace

// In odd sizes, with the moments of the step before, on any number of threads.
BOOST_AUTO_TEST_CASE_TEMPLATE(does_what_its_function_does_to_single_numbers, B, RealBackends) {
  using T = typename B::Scalar;
  constexpr double roundings = 16;
  SharedOutcome outcome({.gradient_scale = clipping_scale});
  for_each_rule(UpdateRules(), [&]<class Rule>(Rule rule) {
    constexpr std::integral_constant<std::size_t, Rule::moments.size()> kept;
    for (const int n : {1, 15, 16, 777, 20001}) {
      auto value = Matrix<T>::normal(1, n, 1), value7 = value;
      Matrix<T> moments(2, n), moments7(2, n);
      std::vector<double> w(static_cast<std::size_t>(n));
      std::array<std::vector<double>, kept> m;
      for (int i = 0; i < n; ++i) w[static_cast<std::size_t>(i)] = double(value(0, i));
      for (auto& one : m) one.resize(w.size());
      B one(1), seven(7);
      for (unsigned step = 1; step <= 3; ++step) {
        if constexpr (requires { rule.step; }) rule.step = step;
        auto gradient = Matrix<T>::normal(1, n, 100 + step);
        ops::Update<B, Rule> op{.rule = rule,
                                .gradient = gradient.view(),
                                .value = value.view(),
                                .moments = rows_of(moments, kept),
                                .outcome = outcome.place()};
        one(op);
        op.value = value7.view();
        op.moments = rows_of(moments7, kept);
        seven(op);
        const typename Rule::template Function<double> function(rule);
        for (std::size_t i = 0; i < w.size(); ++i)
          std::apply(
              [&](auto&... of) { function(double(gradient(0, static_cast<int>(i))) * clipping_scale, w[i], of[i]...); },
              m);
      }
      const auto size = [&](int, int) { return 10.0; };
      require_close<T>(
          "value", value, roundings, [&](int, int i) { return w[static_cast<std::size_t>(i)]; }, size);
      require_close<T>(
          "moments", moments, roundings,
          [&](int r, int i) {
            double want = 0.0;
            for (auto& one_moment : m)
              if (r-- == 0) want = one_moment[static_cast<std::size_t>(i)];
            return want;
          },
          size);
      require_same_bits<T>("value with 7 threads", value, value7);
      require_same_bits<T>("moments with 7 threads", moments, moments7);
    }
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(changes_nothing_that_is_not_finite, B, RealBackends) {
  using T = typename B::Scalar;
  constexpr int n = 777;
  B backend(2);
  auto gradient = Matrix<T>::normal(1, n, 1);
  gradient(0, 40) = std::numeric_limits<T>::quiet_NaN();
  SharedOutcome outcome({.smoothed_loss = 1.0});
  backend(ops::Clipping<B>{.gradient = gradient.view(), .limit = 1.0, .outcome = outcome.place()});
  auto value = Matrix<T>::normal(1, n, 2), moments = Matrix<T>::normal(2, n, 3);
  auto value_before = value, moments_before = moments;
  for_each_rule(UpdateRules(), [&]<class Rule>(const Rule& rule) {
    constexpr std::integral_constant<std::size_t, Rule::moments.size()> kept;
    backend(ops::Update<B, Rule>{.rule = rule,
                                 .gradient = gradient.view(),
                                 .value = value.view(),
                                 .moments = rows_of(moments, kept),
                                 .outcome = outcome.place()});
  });
  require_same_bits("value", value, value_before);
  require_same_bits("moments", moments, moments_before);
}

BOOST_AUTO_TEST_CASE(says_its_operands) {
  using B = Cpu<float>;
  std::set<std::string_view> names;
  Matrix<float> one(1, 20);
  const StepOutcome outcome;
  for_each_rule(UpdateRules(), [&]<class Rule>(const Rule& rule) {
    BOOST_TEST(names.insert(rule.name).second);
    ops::Update<B, Rule> op{.rule = rule, .gradient = one.view(), .value = one.view(), .outcome = &outcome};
    for (auto& moment : op.moments) moment = one.view();
    BOOST_TEST(ops::bytes(op) == (3 + 2 * rule.moments.size()) * 20 * sizeof(float) + sizeof(StepOutcome));
    std::vector<std::string_view> found;
    decltype(op)::visit(op, [&](std::string_view name, ops::Access role, const auto&) {
      if (role == ops::Access::Update) found.push_back(name);
    });
    std::vector<std::string_view> expected = {"value"};
    expected.insert(expected.end(), rule.moments.begin(), rule.moments.end());
    BOOST_TEST((found == expected));
  });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(squared_norm)

BOOST_AUTO_TEST_CASE_TEMPLATE(sums_squares_in_double, B, RealBackends) {
  using T = typename B::Scalar;
  for (const int n : {1, 31, 32, 777, 65536, 200003}) {
    auto x = Matrix<T>::normal(1, n, 1);
    double want = 0;
    for (int i = 0; i < n; ++i) want += double(x(0, i)) * double(x(0, i));
    B one(1), two(2), seven(7);
    const double got = one(ops::SquaredNorm<B>{.x = x.view()});
    BOOST_TEST(close(got, want, want, n));
    BOOST_TEST(got > 0.0);
    BOOST_TEST(two(ops::SquaredNorm<B>{.x = x.view()}) == got);
    BOOST_TEST(seven(ops::SquaredNorm<B>{.x = x.view()}) == got);
  }
  auto strided = Matrix<T>::normal(9, 33, 2, 4);
  double want = 0;
  for (int r = 0; r < 9; ++r)
    for (int c = 0; c < 33; ++c) want += double(strided(r, c)) * double(strided(r, c));
  B backend(1);
  BOOST_TEST(close(backend(ops::SquaredNorm<B>{.x = strided.view()}), want, want, 300));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_not_finite_if_an_element_is_not, B, RealBackends) {
  using T = typename B::Scalar;
  B backend(2);
  for (const T bad : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()}) {
    for (const int at : {0, 40, 776}) {
      auto x = Matrix<T>::normal(1, 777, 1);
      x(0, at) = bad;
      BOOST_TEST(!std::isfinite(backend(ops::SquaredNorm<B>{.x = x.view()})));
    }
  }
  // Squares that float cannot hold.
  Matrix<T> large(1, 8);
  backend(ops::Fill<B>{.x = large.view(), .value = T(1e30)});
  BOOST_TEST(close(backend(ops::SquaredNorm<B>{.x = large.view()}), 8e60, 8e60, 1e9));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(clipping)

BOOST_AUTO_TEST_CASE_TEMPLATE(scales_to_the_limit, B, RealBackends) {
  using T = typename B::Scalar;
  for (const int n : {0, 1, 777, 70001}) {
    const auto gradient = Matrix<T>::normal(1, n, 1);
    for (const double limit : {0.0, 1e-3, 0.25, 1e6}) {
      SharedOutcome of_one({.smoothed_loss = 5.0, .negative_log_likelihood = 6.0, .gradient_scale = -1.0});
      for (const int threads : {1, 7}) {
        B backend(threads);
        auto x = gradient;
        SharedOutcome outcome({.smoothed_loss = 5.0, .negative_log_likelihood = 6.0, .gradient_scale = -1.0});
        backend(ops::Clipping<B>{.gradient = x.view(), .limit = limit, .outcome = outcome.place()});
        BOOST_TEST(outcome->squared_norm == backend(ops::SquaredNorm<B>{.x = x.view()}));
        const double norm = std::sqrt(outcome->squared_norm);
        const double want = limit > 0.0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;
        BOOST_TEST(outcome->gradient_scale == want);
        BOOST_TEST((want < 1.0) == (limit > 0.0 && limit < 1e6 && n > 0));
        BOOST_TEST(outcome->finite);
        BOOST_TEST(outcome->smoothed_loss == 5.0);
        BOOST_TEST(outcome->negative_log_likelihood == 6.0);
        if (threads == 1) *of_one.place() = *outcome.place();
        BOOST_TEST(outcome->squared_norm == of_one->squared_norm);
        SharedOutcome known({.smoothed_loss = 5.0, .squared_norm = outcome->squared_norm, .gradient_scale = -1.0});
        backend(ops::Clipping<B>{.gradient = {}, .limit = limit, .outcome = known.place(), .has_norm = true});
        BOOST_TEST(known->squared_norm == outcome->squared_norm);
        BOOST_TEST(known->gradient_scale == want);
        BOOST_TEST(known->finite);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(says_whether_all_is_finite, B, RealBackends) {
  using T = typename B::Scalar;
  constexpr T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
  B backend(2);
  const auto finite = [&](double loss, T element) {
    auto gradient = Matrix<T>::normal(1, 777, 1);
    gradient(0, 700) = element;
    SharedOutcome outcome({.smoothed_loss = loss, .finite = false});
    backend(ops::Clipping<B>{.gradient = gradient.view(), .limit = 1.0, .outcome = outcome.place()});
    return outcome->finite;
  };
  BOOST_TEST(finite(1.0, T(1)));
  for (const T bad : {nan, infinity, -infinity}) {
    BOOST_TEST(!finite(1.0, bad));
    BOOST_TEST(!finite(double(bad), T(1)));
    SharedOutcome known({.squared_norm = double(bad) * double(bad)});
    backend(ops::Clipping<B>{.gradient = {}, .limit = 1.0, .outcome = known.place(), .has_norm = true});
    BOOST_TEST(!known->finite);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(reading)

// What is read is what was there when reading began.
BOOST_AUTO_TEST_CASE_TEMPLATE(brings_an_outcome_to_the_host, B, Backends) {
  B backend(1);
  for (const double loss : {1.5, 2.5}) {
    SharedOutcome outcome(
        {.smoothed_loss = loss, .negative_log_likelihood = 3.0, .squared_norm = 4.0, .finite = false});
    backend.start_reading(outcome.place());
    backend(ops::SumLosses<B>{.losses = {}, .outcome = outcome.place()});
    const auto read = backend.finish_reading();
    BOOST_TEST((read.smoothed_loss == loss && read.negative_log_likelihood == 3.0 && read.squared_norm == 4.0));
    BOOST_TEST((read.gradient_scale == 1.0 && !read.finite));
    BOOST_TEST(outcome->smoothed_loss == 0.0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
