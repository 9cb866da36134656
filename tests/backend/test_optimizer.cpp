// Adam, AdamW, SGD and the gradient norm on the CPU against plain loops in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_optimizer
#include <boost/test/unit_test.hpp>

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
      AdamStep how{.learning_rate = 0.01,
                   .beta1 = 0.9,
                   .beta2 = 0.98,
                   .epsilon = 1e-6,
                   .weight_decay = 0.1,
                   .decoupled = decoupled,
                   .step = 0};
      SharedOutcome outcome({.gradient_scale = clipping_scale});
      for (how.step = 1; how.step <= steps; ++how.step) {
        auto gradient = Matrix<T>::normal(1, n, 100 + static_cast<unsigned>(how.step));
        one(ops::Adam<B>{.how = how,
                         .gradient = gradient.view(),
                         .value = value.view(),
                         .first_moment = first.view(),
                         .second_moment = second.view(),
                         .outcome = outcome.place()});
        seven(ops::Adam<B>{.how = how,
                           .gradient = gradient.view(),
                           .value = value7.view(),
                           .first_moment = first7.view(),
                           .second_moment = second7.view(),
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
  backend(ops::Adam<B>{.how = {.learning_rate = 0.125, .epsilon = 0.0},
                       .gradient = gradient.view(),
                       .value = value.view(),
                       .first_moment = first.view(),
                       .second_moment = second.view(),
                       .outcome = outcome.place()});
  for (int i = 0; i < 20; ++i) BOOST_TEST(close(value(0, i), i % 2 ? -0.125 : 0.125, 1, 4));
  // A gradient that was always zero moves nothing, and epsilon keeps 0/0 away.
  Matrix<T> zero(1, 20), still(1, 20), first0(1, 20), second0(1, 20);
  backend(ops::Adam<B>{.how = {.learning_rate = 0.125},
                       .gradient = zero.view(),
                       .value = still.view(),
                       .first_moment = first0.view(),
                       .second_moment = second0.view(),
                       .outcome = outcome.place()});
  for (int i = 0; i < 20; ++i) BOOST_TEST(still(0, i) == T(0));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sgd)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, RealBackends) {
  using T = typename B::Scalar;
  constexpr double roundings = 16;
  constexpr int steps = 5;
  const std::vector<SgdStep> ways = {{0.05, 0.0, false, 0.1}, {0.05, 0.9, false, 0.1}, {0.05, 0.9, true, 0.1}};
  SharedOutcome outcome({.gradient_scale = clipping_scale});
  for (const int n : {1, 15, 16, 777, 70001}) {
    for (const auto& how : ways) {
      auto value = Matrix<T>::normal(1, n, 1), value7 = value;
      std::vector<double> w(static_cast<std::size_t>(n)), u(w.size());
      for (int i = 0; i < n; ++i) w[static_cast<std::size_t>(i)] = double(value(0, i));
      B one(1), seven(7);
      Matrix<T> velocity(1, n), velocity7(1, n);
      const bool keeps = how.momentum > 0.0;
      for (unsigned step = 1; step <= steps; ++step) {
        auto gradient = Matrix<T>::normal(1, n, 100 + step);
        one(ops::Sgd<B>{.how = how,
                        .gradient = gradient.view(),
                        .value = value.view(),
                        .velocity = keeps ? velocity.view() : RowsOf<T>(),
                        .outcome = outcome.place()});
        seven(ops::Sgd<B>{.how = how,
                          .gradient = gradient.view(),
                          .value = value7.view(),
                          .velocity = keeps ? velocity7.view() : RowsOf<T>(),
                          .outcome = outcome.place()});
        for (std::size_t i = 0; i < w.size(); ++i) {
          const double g = double(gradient(0, static_cast<int>(i))) * clipping_scale + how.weight_decay * w[i];
          u[i] = how.momentum * u[i] + g;
          w[i] -= how.learning_rate * (how.nesterov ? g + how.momentum * u[i] : u[i]);
        }
      }
      const auto size = [&](int, int) { return 10.0; };
      require_close<T>(
          "value", value, roundings, [&](int, int i) { return w[static_cast<std::size_t>(i)]; }, size);
      if (keeps)
        require_close<T>(
            "velocity", velocity, roundings, [&](int, int i) { return u[static_cast<std::size_t>(i)]; }, size);
      require_same_bits<T>("value with 7 threads", value, value7);
      require_same_bits<T>("velocity with 7 threads", velocity, velocity7);
    }
  }
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
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(lets_optimizers_change_nothing_that_is_not_finite, B, RealBackends) {
  using T = typename B::Scalar;
  constexpr int n = 777;
  B backend(2);
  auto gradient = Matrix<T>::normal(1, n, 1);
  gradient(0, 40) = std::numeric_limits<T>::quiet_NaN();
  SharedOutcome outcome({.smoothed_loss = 1.0});
  backend(ops::Clipping<B>{.gradient = gradient.view(), .limit = 1.0, .outcome = outcome.place()});
  auto value = Matrix<T>::normal(1, n, 2), first = Matrix<T>::normal(1, n, 3), second = Matrix<T>::normal(1, n, 4);
  auto value_before = value, first_before = first, second_before = second;
  backend(ops::Adam<B>{.how = {.learning_rate = 0.1, .weight_decay = 0.1},
                       .gradient = gradient.view(),
                       .value = value.view(),
                       .first_moment = first.view(),
                       .second_moment = second.view(),
                       .outcome = outcome.place()});
  for (const double momentum : {0.0, 0.9})
    backend(ops::Sgd<B>{.how = {.learning_rate = 0.1, .momentum = momentum, .weight_decay = 0.1},
                        .gradient = gradient.view(),
                        .value = value.view(),
                        .velocity = momentum > 0.0 ? first.view() : RowsOf<T>(),
                        .outcome = outcome.place()});
  require_same_bits("value", value, value_before);
  require_same_bits("first moment", first, first_before);
  require_same_bits("second moment", second, second_before);
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
