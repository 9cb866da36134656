// Cross-entropy with its gradient on the CPU against plain loops in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_loss
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "backend/backends.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

/// Log-probabilities of one row of logits + bias.
template <class T>
std::vector<double> log_probabilities(const Matrix<T>& logits, const Matrix<T>* bias, int row) {
  std::vector<double> l;
  for (int c = 0; c < logits.cols(); ++c) l.push_back(double(logits(row, c)) + (bias ? double((*bias)(0, c)) : 0.0));
  double top = l[0], sum = 0;
  for (const double v : l) top = std::max(top, v);
  for (const double v : l) sum += std::exp(v - top);
  for (double& v : l) v -= top + std::log(sum);
  return l;
}

std::vector<int> some_targets(int rows, int cols) {
  std::vector<int> targets;
  for (int r = 0; r < rows; ++r) targets.push_back(r * 31 % cols);
  return targets;
}

constexpr double gradient_scale = 0.37;

}  // namespace

BOOST_AUTO_TEST_SUITE(cross_entropy)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  // The mean over n logits of size about 5, and exponents of differences of that size, each a few ulp.
  constexpr double roundings = 32, logit_size = 5;
  for (const bool with_bias : {false, true}) {
    for (const double smoothing : {0.0, 0.1}) {
      for (const auto [all_rows, cols] : shapes) {
        const int rows = emulated<B> ? std::min(all_rows, 9) : all_rows;  // each is a block of threads
        auto bias = Matrix<T>::normal(1, cols, 2);
        const auto logits = Matrix<T>::normal(rows, cols, 1, 3);
        const auto targets = some_targets(rows, cols);
        const auto bias_view = with_bias ? bias.view() : RowsOf<T>{};
        Matrix<typename B::Real> losses(rows, 2, 1);
        const auto gradients = [&](B& backend) {
          auto x = logits;
          backend(ops::CrossEntropy<B>{.logits = x.view(),
                                       .bias = bias_view,
                                       .targets = targets,
                                       .smoothing = smoothing,
                                       .gradient_scale = gradient_scale,
                                       .losses = losses.view()});
          return x;
        };
        require_same_with_any_threads<B>("cross_entropy", gradients);
        B backend(1);
        const auto got = gradients(backend);
        Matrix<double> want(rows, cols), want_losses(rows, 2);
        for (int r = 0; r < rows; ++r) {
          const auto l = log_probabilities(logits, with_bias ? &bias : nullptr, r);
          const int target = targets[static_cast<std::size_t>(r)];
          double mean = 0;
          for (int c = 0; c < cols; ++c) {
            const double v = l[static_cast<std::size_t>(c)];
            mean -= v / cols;
            want(r, c) = gradient_scale * (std::exp(v) - smoothing / cols - (c == target ? 1 - smoothing : 0));
          }
          want_losses(r, 1) = -l[static_cast<std::size_t>(target)];
          want_losses(r, 0) = (1 - smoothing) * want_losses(r, 1) + smoothing * mean;
        }
        require_close<T>("gradient", got, roundings * logit_size, want, [&](int r, int c) {
          const bool hit = c == targets[static_cast<std::size_t>(r)];
          return std::abs(want(r, c)) + gradient_scale * (hit ? 2 : 2 * smoothing / got.cols());
        });
        const auto size = [&](int, int) { return 2 * logit_size + std::log(logits.cols()); };
        require_close("losses", losses, roundings, want_losses, size);

        auto untouched = logits;
        Matrix<typename B::Real> only_losses(rows, 2, 1);
        backend(ops::CrossEntropy<B>{.logits = untouched.view(),
                                     .bias = bias_view,
                                     .targets = targets,
                                     .smoothing = smoothing,
                                     .losses = only_losses.view()});
        auto original = logits;
        require_same_bits<T>("logits without gradient", untouched, original);
        require_close("losses without gradient", only_losses, roundings, want_losses, size);
      }
    }
  }
}

// Rows that begin aligned, as those of logits do, and those that do not: where they lie changes nothing.
BOOST_AUTO_TEST_CASE_TEMPLATE(does_not_depend_on_the_stride, B, Backends) {
  using T = typename B::Scalar;
  constexpr int rows = 4, cols = 777, multiple = 16;
  const auto targets = some_targets(rows, cols);
  auto bias = Matrix<T>::normal(1, cols, 2);
  B backend(1);
  auto apart = Matrix<T>::normal(rows, cols, 1, multiple - cols % multiple),
       together = Matrix<T>::normal(rows, cols, 1);
  Matrix<typename B::Real> losses_apart(rows, 2), losses_together(rows, 2);
  BOOST_TEST_REQUIRE((apart.view().stride % multiple == 0 && together.view().contiguous()));
  backend(ops::CrossEntropy<B>{.logits = apart.view(),
                               .bias = bias.view(),
                               .targets = targets,
                               .smoothing = 0.1,
                               .gradient_scale = gradient_scale,
                               .losses = losses_apart.view()});
  backend(ops::CrossEntropy<B>{.logits = together.view(),
                               .bias = bias.view(),
                               .targets = targets,
                               .smoothing = 0.1,
                               .gradient_scale = gradient_scale,
                               .losses = losses_together.view()});
  require_same_bits("gradients", apart, together);
  require_same_bits("losses", losses_apart, losses_together);
  BOOST_TEST(apart.guards_hold());
}

BOOST_AUTO_TEST_CASE(gradient_is_the_derivative) {
  constexpr double h = 1e-5, bound = 1e-9, smoothing = 0.1;
  Cpu<double> backend(1);
  const auto logits = Matrix<double>::normal(1, 37, 1);
  auto bias = Matrix<double>::normal(1, 37, 2);
  const std::vector<int> target = {5};
  Matrix<double> losses(1, 2);
  const auto loss = [&](Matrix<double> x) {
    backend(ops::CrossEntropy<Cpu<double>>{
        .logits = x.view(), .bias = bias.view(), .targets = target, .smoothing = smoothing, .losses = losses.view()});
    return losses(0, 0);
  };
  auto gradient = logits;
  backend(ops::CrossEntropy<Cpu<double>>{.logits = gradient.view(),
                                         .bias = bias.view(),
                                         .targets = target,
                                         .smoothing = smoothing,
                                         .gradient_scale = 1.0,
                                         .losses = losses.view()});
  for (int c = 0; c < 37; ++c) {
    auto up = logits, down = logits;
    up(0, c) += h;
    down(0, c) -= h;
    BOOST_TEST_REQUIRE(std::abs((loss(up) - loss(down)) / (2 * h) - gradient(0, c)) < bound);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(large_logits_do_not_overflow_and_nan_shows, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  Matrix<T> x(2, 40);
  Matrix<typename B::Real> losses(2, 2);
  for (int c = 0; c < 40; ++c) x(0, c) = T(c % 2 ? 10000 : -10000), x(1, c) = T(c);
  x(1, 7) = std::numeric_limits<T>::quiet_NaN();
  const std::vector<int> targets = {1, 2};
  backend(ops::CrossEntropy<B>{.logits = x.view(), .targets = targets, .gradient_scale = 1.0, .losses = losses.view()});
  BOOST_TEST(close(losses(0, 1), std::log(20.0), 1, 16));
  BOOST_TEST(close(x(0, 3), 0.05, 1, 16));
  BOOST_TEST(std::isnan(losses(1, 0)));
  Matrix<T> of_each(40, 40);
  Matrix<typename B::Real> each_losses(40, 2);
  for (int c = 0; c < 40; ++c) of_each(c, c) = std::numeric_limits<T>::quiet_NaN();
  backend(
      ops::CrossEntropy<B>{.logits = of_each.view(), .targets = std::vector<int>(40, 2), .losses = each_losses.view()});
  for (int r = 0; r < 40; ++r) BOOST_TEST(std::isnan(each_losses(r, 1)), "the NaN in column " << r);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sum_losses)

BOOST_AUTO_TEST_CASE_TEMPLATE(adds_up_rows_in_double, B, Backends) {
  using Real = typename B::Real;
  for (const int rows : {0, 1, 2, 255, 257, 3000}) {
    auto losses = Matrix<Real>::normal(rows, 2, 1, 3);
    double want[2] = {}, terms[2] = {};
    for (int r = 0; r < rows; ++r)
      for (const int c : {0, 1}) {
        want[c] += double(losses(r, c));
        terms[c] += std::abs(double(losses(r, c)));
      }
    // Sums of n doubles: at most n roundings of their size.
    const auto bound = [&](int c) { return (rows + 2) * std::numeric_limits<double>::epsilon() * (terms[c] + 10); };
    const StepOutcome before{.smoothed_loss = 3.0, .negative_log_likelihood = 7.0};
    SharedOutcome expected;
    for (const int threads : {1, 2, 7}) {
      B backend(threads);
      SharedOutcome written(before), added(before);
      backend(ops::SumLosses<B>{.losses = losses.view(), .outcome = written.place()});
      backend(ops::SumLosses<B>{.losses = losses.view(), .into = Into::Add, .outcome = added.place()});
      BOOST_TEST(std::abs(written->smoothed_loss - want[0]) <= bound(0));
      BOOST_TEST(std::abs(written->negative_log_likelihood - want[1]) <= bound(1));
      BOOST_TEST(added->smoothed_loss == 3.0 + written->smoothed_loss);
      BOOST_TEST(added->negative_log_likelihood == 7.0 + written->negative_log_likelihood);
      if (threads == 1) *expected.place() = *written.place();
      BOOST_TEST(written->smoothed_loss == expected->smoothed_loss);
      BOOST_TEST(written->negative_log_likelihood == expected->negative_log_likelihood);
    }
    BOOST_TEST(losses.guards_hold());
  }
}

BOOST_AUTO_TEST_SUITE_END()
