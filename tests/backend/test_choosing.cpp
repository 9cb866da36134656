// Choosing tokens on every backend: assignment to single elements, log-sum-exp, the k largest and random draws of each
// row, against plain loops in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_choosing
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <numeric>

#include "backend/backends.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

template <class T>
constexpr T infinite = std::numeric_limits<T>::infinity();

/// Some elements of every row -inf, as processors leave them.
template <class T>
Matrix<T> partly_ruled_out(int rows, int cols, unsigned stream) {
  auto x = Matrix<T>::normal(rows, cols, stream, 4);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < cols; ++c)
      if ((r + 3 * c) % 7 == 1) x(r, c) = -infinite<T>;
  return x;
}

/// The places of the numbers from the largest to the smallest; of equals the first one first.
std::vector<std::size_t> descending(const std::vector<double>& numbers) {
  std::vector<std::size_t> order(numbers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return numbers[a] > numbers[b]; });
  return order;
}

/// The probabilities that SamplingShape leaves of one row, by Hugging Face's definitions: its warpers one after
/// another. Of equals the first ones stay.
std::vector<double> warped(std::vector<double> logits, const SamplingShape& how) {
  const auto softmax = [](std::vector<double> x) {
    const double top = *std::max_element(x.begin(), x.end());
    double sum = 0.0;
    for (double& v : x) sum += v = std::exp(v - top);
    for (double& v : x) v /= sum;
    return x;
  };
  for (double& v : logits) v /= how.temperature;
  if (how.top_k > 0) {
    const auto order = descending(logits);
    for (auto i = static_cast<std::size_t>(how.top_k); i < order.size(); ++i) logits[order[i]] = -infinite<double>;
  }
  if (how.top_p < 1.0) {
    const auto p = softmax(logits);
    const auto order = descending(p);
    double below = 0.0;
    for (std::size_t i = order.size() - 1; i > 0; --i)
      if ((below += p[order[i]]) <= 1.0 - how.top_p) logits[order[i]] = -infinite<double>;
  }
  if (how.min_p > 0.0) {
    const auto p = softmax(logits);
    const double least = how.min_p * *std::max_element(p.begin(), p.end());
    for (std::size_t i = 0; i < p.size(); ++i)
      if (p[i] < least) logits[i] = -infinite<double>;
  }
  return softmax(logits);
}

/// Whether `uniform` lies in the column's share of [0, 1), or so near that rounding could move it there: logits of size
/// 10 are off by few ulp, and so are their exponentials.
template <class T>
bool in_share(const std::vector<double>& probabilities, int column, double uniform) {
  const auto tolerance = 64 * machine_epsilon<T>;
  if (column < 0 || column >= std::ssize(probabilities)) return false;
  const double below = std::accumulate(probabilities.begin(), probabilities.begin() + column, 0.0);
  const double share = probabilities[static_cast<std::size_t>(column)];
  return share > 0.0 && uniform >= below - tolerance && uniform < below + share + tolerance;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(assign)

BOOST_AUTO_TEST_CASE_TEMPLATE(changes_what_is_named_only, B, Backends) {
  using T = typename B::Scalar;
  B backend(2);
  auto x = Matrix<T>::normal(7, 33, 1, 2);
  auto want = x;
  const std::vector<int> rows = {0, 6, 3, 3, 3}, cols = {0, 32, 5, 6, 5};
  for (std::size_t i = 0; i < rows.size(); ++i) want(rows[i], cols[i]) = -infinite<T>;
  backend(ops::Assign<B>{.x = x.view(), .rows = rows, .cols = cols, .value = -infinite<T>});
  require_same_bits<T>("assign", x, want);
  BOOST_TEST(x.guards_hold());
  backend(ops::Assign<B>{.x = x.view(), .rows = {}, .cols = {}, .value = T(1)});
  require_same_bits<T>("assign nothing", x, want);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(log_sum_exp)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  // The exponentials of differences of size 10 are off by a few ulp of 10, and a sum of n by a walk of √n at most.
  constexpr double difference = 10;
  for (const bool some_out : {false, true})
    for (const auto [rows, cols] : shapes) {
      if (some_out && cols == 1) continue;
      auto x = some_out ? partly_ruled_out<T>(rows, cols, 1) : Matrix<T>::normal(rows, cols, 1, 3);
      std::vector<double> got(static_cast<std::size_t>(rows)), again(got);
      B one(1), two(2), seven(7);
      one(ops::LogSumExp<B>{.x = x.view(), .sums = got});
      for (B* const other : {&two, &seven}) {
        (*other)(ops::LogSumExp<B>{.x = x.view(), .sums = again});
        BOOST_TEST(got == again);
      }
      for (int r = 0; r < rows; ++r) {
        double sum = 0.0;
        for (int c = 0; c < cols; ++c) sum += std::exp(double(x(r, c)));
        const double want = std::log(sum);
        BOOST_TEST(close(static_cast<typename B::Real>(got[std::size_t(r)]), want, difference + std::sqrt(cols), 4),
                   got[std::size_t(r)] << " instead of " << want);
      }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(says_what_is_not_finite, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  for (const int cols : {1, 15, 16, 40}) {
    Matrix<T> x(5, cols);
    for (int c = 0; c < cols; ++c) {
      x(0, c) = T(90000);  // beyond what exp can hold
      x(1, c) = x(2, c) = x(3, c) = -infinite<T>;
      x(4, c) = T(1);
    }
    x(2, cols - 1) = x(4, cols / 2) = std::numeric_limits<T>::quiet_NaN();
    x(3, 0) = infinite<T>;
    std::vector<double> got(5);
    backend(ops::LogSumExp<B>{.x = x.view(), .sums = got});
    BOOST_TEST(close(static_cast<typename B::Real>(got[0]), double(x(0, 0)) + std::log(cols), 90000, 2));
    BOOST_TEST(got[1] == -infinite<double>);
    BOOST_TEST(std::isnan(got[2]));
    BOOST_TEST(std::isnan(got[3]));
    BOOST_TEST(std::isnan(got[4]));
  }
  constexpr int cols = 40;
  Matrix<T> x(cols, cols);
  for (int c = 0; c < cols; ++c) x(c, c) = std::numeric_limits<T>::quiet_NaN();
  std::vector<double> got(cols);
  backend(ops::LogSumExp<B>{.x = x.view(), .sums = got});
  for (const double sum : got) BOOST_TEST(std::isnan(sum));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(top_k)

BOOST_AUTO_TEST_CASE_TEMPLATE(finds_the_largest_in_order, B, Backends) {
  using T = typename B::Scalar;
  int short_rows = 0;
  for (const bool rounded : {false, true})  // equals are common
    for (const auto [all_rows, cols] : shapes)
      for (const int k : {1, 2, 8, 40, 777}) {
        if (k > cols) continue;
        const int rows = emulated<B> ? std::min(all_rows, NEURAL_ATTENTION_SANITIZED ? 2 : 9) : all_rows;
        auto x = partly_ruled_out<T>(rows, cols, 1);
        if (rounded)
          for (int r = 0; r < rows; ++r)
            for (int c = 0; c < cols; ++c) x(r, c) = T(std::round(double(x(r, c))));
        const auto size = static_cast<std::size_t>(rows) * static_cast<std::size_t>(k);
        std::vector<T> values(size), values_again(size);
        std::vector<int> columns(size), columns_again(size);
        B one(1), two(2), seven(7);
        one(ops::TopK<B>{.x = x.view(), .k = k, .values = values, .columns = columns});
        for (B* const other : {&two, &seven}) {
          (*other)(ops::TopK<B>{.x = x.view(), .k = k, .values = values_again, .columns = columns_again});
          BOOST_TEST((values == values_again && columns == columns_again));
        }
        for (int r = 0; r < rows; ++r) {
          std::vector<int> order;
          for (int c = 0; c < cols; ++c)
            if (x(r, c) > -infinite<T>) order.push_back(c);
          std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return x(r, a) > x(r, b); });
          short_rows += static_cast<int>(order.size()) < k;
          for (int i = 0; i < k; ++i) {
            const auto at = static_cast<std::size_t>(r * k + i);
            const bool there = i < static_cast<int>(order.size());
            BOOST_TEST_REQUIRE(columns[at] == (there ? order[std::size_t(i)] : -1));
            BOOST_TEST_REQUIRE(values[at] == (there ? x(r, order[std::size_t(i)]) : -infinite<T>));
          }
        }
        BOOST_TEST(x.guards_hold());
      }
  BOOST_TEST(short_rows > 0);
}

// Ascending rows replace the whole selection again and again; in flat ones, of both zeros, all elements are equal.
BOOST_AUTO_TEST_CASE_TEMPLATE(does_not_care_for_the_order_of_a_row, B, Backends) {
  using T = typename B::Scalar;
  constexpr int cols = 5000;
  B backend(7);
  for (const int sign : {1, -1, 0})
    for (const int k : {12, 600}) {
      Matrix<T> x(1, cols);
      // All differ, also with 8 bits.
      const auto number = [](int c) { return std::ldexp(1.0 + (c % 128) / 128.0, c / 128 - 20); };
      for (int c = 0; c < cols; ++c) x(0, c) = sign == 0 ? (c % 2 ? T(0) : T(-0.0)) : T(sign * number(c));
      std::vector<T> values(static_cast<std::size_t>(k));
      std::vector<int> columns(values.size());
      backend(ops::TopK<B>{.x = x.view(), .k = k, .values = values, .columns = columns});
      for (int i = 0; i < k; ++i) {
        const int want = sign > 0 ? cols - 1 - i : i;
        BOOST_TEST_REQUIRE(columns[std::size_t(i)] == want);
        BOOST_TEST_REQUIRE(values[std::size_t(i)] == x(0, want));
      }
    }
}

// Rows with NaN or +inf somewhere, in whole blocks and behind them, between rows that are as they should be.
BOOST_AUTO_TEST_CASE_TEMPLATE(of_a_row_that_is_not_finite_there_are_none, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  for (const int cols : {1, 16, 40, 256, 600}) {
    Matrix<T> x(6, cols);
    for (int r = 0; r < 6; ++r)
      for (int c = 0; c < cols; ++c) x(r, c) = -infinite<T>;
    x(0, cols / 2) = x(5, cols - 1) = std::numeric_limits<T>::lowest();
    x(1, cols - 1) = x(2, 0) = std::numeric_limits<T>::quiet_NaN();
    x(3, cols - 1) = x(4, 0) = infinite<T>;
    x(2, cols - 1) = x(4, cols - 1) = cols > 1 ? T(3) : x(2, 0);
    std::vector<T> values(6);
    std::vector<int> columns(6);
    backend(ops::TopK<B>{.x = x.view(), .k = 1, .values = values, .columns = columns});
    BOOST_TEST(columns == (std::vector<int>{cols / 2, -1, -1, -1, -1, cols - 1}));
    BOOST_TEST((values == std::vector<T>{x(0, cols / 2), -infinite<T>, -infinite<T>, -infinite<T>, -infinite<T>,
                                         x(5, cols - 1)}));
  }
}

// What is larger than NaN, in the same run and in another one, must not be found either.
BOOST_AUTO_TEST_CASE_TEMPLATE(of_a_long_row_with_a_number_that_is_not_finite_there_are_none, B, Backends) {
  using T = typename B::Scalar;
  constexpr int cols = 1000;
  B backend(1);
  for (const T bad : {std::numeric_limits<T>::quiet_NaN(), infinite<T>})
    for (const int place : {0, 1, 15, 16, 255, 256, 511, 767, 768, 999}) {
      Matrix<T> x(1, cols);
      for (int c = 0; c < cols; ++c) x(0, c) = T(c % 7);
      x(0, place) = bad;
      std::vector<T> values(3);
      std::vector<int> columns(3), drawn(1);
      backend(ops::TopK<B>{.x = x.view(), .k = 3, .values = values, .columns = columns});
      BOOST_TEST(columns == (std::vector<int>{-1, -1, -1}));
      for (const SamplingShape how : {SamplingShape{}, {1.0, 3, 1.0}, {1.0, 0, 0.5}}) {
        backend(ops::Sample<B>{.x = x.view(), .how = how, .uniforms = std::vector{0.5}, .columns = drawn});
        BOOST_TEST(drawn[0] == -1);
      }
    }
}

// Finite elements whose sum is not.
BOOST_AUTO_TEST_CASE_TEMPLATE(of_huge_elements_are_found, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  constexpr int cols = 100;
  Matrix<T> x(2, cols);
  for (int c = 0; c < cols; ++c) {
    x(0, c) = T(c == 70 ? 3e38 : 2e38);
    x(1, c) = T(c % 2 ? 3e38 : -3e38);
  }
  std::vector<T> values(2);
  std::vector<int> columns(2);
  backend(ops::TopK<B>{.x = x.view(), .k = 1, .values = values, .columns = columns});
  BOOST_TEST(columns == (std::vector<int>{70, 1}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sample)

BOOST_AUTO_TEST_CASE_TEMPLATE(gives_every_column_its_share, B, Backends) {
  using T = typename B::Scalar;
  constexpr int draws = emulated<B> ? (NEURAL_ATTENTION_SANITIZED ? 1 : 7) : 400;
  std::vector<double> uniforms;
  for (int i = 0; i < draws; ++i) uniforms.push_back((i + 0.5) / draws);
  int narrowed = 0;
  for (const int cols : {1, 7, 16, 40, 777})
    for (const double temperature : {1.0, 0.5, 3.0})
      for (const int k : {0, 1, 5, 300})
        for (const auto& [p, min_p] : {std::pair{1.0, 0.0}, {0.9, 0.0}, {0.3, 0.0}, {1.0, 0.05}, {0.9, 0.3}}) {
          if (emulated<B> && (temperature != 0.5 || cols == 7 || cols == 16 || k == 1 || p == 0.3 || min_p == 0.05))
            continue;
          if (emulated<B> && NEURAL_ATTENTION_SANITIZED && (cols != 40 || k == 300)) continue;
          const SamplingShape how{temperature, k, p, min_p};
          auto row = cols == 1 ? Matrix<T>::normal(1, 1, 4) : partly_ruled_out<T>(1, cols, 4);
          Matrix<T> x(draws, cols, cols % 4 == 0 ? 0 : 1);
          for (int r = 0; r < draws; ++r)
            for (int c = 0; c < cols; ++c) x(r, c) = row(0, c);
          std::vector<int> got(draws, -7), again(got);
          B one(1), two(2), seven(7);
          one(ops::Sample<B>{.x = x.view(), .how = how, .uniforms = uniforms, .columns = got});
          for (B* const other : {&two, &seven}) {
            (*other)(ops::Sample<B>{.x = x.view(), .how = how, .uniforms = uniforms, .columns = again});
            BOOST_TEST(got == again);
          }
          BOOST_TEST(std::is_sorted(got.begin(), got.end()));
          std::vector<double> logits;
          for (int c = 0; c < cols; ++c) logits.push_back(double(row(0, c)));
          const auto want = warped(logits, how);
          for (int i = 0; i < draws; ++i)
            BOOST_TEST_REQUIRE(in_share<T>(want, got[std::size_t(i)], uniforms[std::size_t(i)]),
                               uniforms[std::size_t(i)] << " draws " << got[std::size_t(i)] << " of " << cols);
          for (int c = 0; c < cols; ++c) narrowed += want[std::size_t(c)] == 0.0 && row(0, c) > -infinite<T>;
        }
  BOOST_TEST(narrowed > (emulated<B> && NEURAL_ATTENTION_SANITIZED ? 30 : 1000));
}

// A flat row, of which nearly all columns are needed to hold 0.97 of the probability.
BOOST_AUTO_TEST_CASE_TEMPLATE(finds_long_nuclei, B, Backends) {
  using T = typename B::Scalar;
  constexpr int cols = 5000, draws = emulated<B> ? (NEURAL_ATTENTION_SANITIZED ? 2 : 5) : 500;
  B backend(1);
  Matrix<T> x(draws, cols);
  for (int r = 0; r < draws; ++r)
    for (int c = 0; c < cols; ++c) x(r, c) = static_cast<T>(1e-4 * ((c * 7919) % cols));
  std::vector<double> uniforms, logits;
  for (int c = 0; c < cols; ++c) logits.push_back(double(x(0, c)));
  for (int i = 0; i < draws; ++i) uniforms.push_back((i + 0.5) / draws);
  std::vector<int> got(draws);
  const SamplingShape how{1.0, 0, 0.97};
  backend(ops::Sample<B>{.x = x.view(), .how = how, .uniforms = uniforms, .columns = got});
  const auto want = warped(logits, how);
  for (int i = 0; i < draws; ++i) BOOST_TEST_REQUIRE(in_share<T>(want, got[std::size_t(i)], uniforms[std::size_t(i)]));
}

// Which columns stay, of equals the first ones.
BOOST_AUTO_TEST_CASE_TEMPLATE(keeps_the_first_of_equals, B, Backends) {
  using T = typename B::Scalar;
  constexpr int cols = 1300;
  B backend(2);
  Matrix<T> x(2, cols);  // all 0
  const std::vector<double> ends = {0.0, 1.0 - 0x1p-53};
  std::vector<int> got(2);
  backend(ops::Sample<B>{.x = x.view(), .how = {1.0, 10, 1.0}, .uniforms = ends, .columns = got});
  BOOST_TEST(got == (std::vector<int>{0, 9}));
  backend(ops::Sample<B>{.x = x.view(), .how = {1.0, 10, 0.45}, .uniforms = ends, .columns = got});
  BOOST_TEST(got == (std::vector<int>{0, 4}));
  backend(ops::Sample<B>{.x = x.view(), .how = {1.0, 0, 0.5}, .uniforms = ends, .columns = got});
  BOOST_TEST(got == (std::vector<int>{0, cols / 2 - 1}));
  backend(ops::Sample<B>{.x = x.view(), .how = {}, .uniforms = ends, .columns = got});
  BOOST_TEST(got == (std::vector<int>{0, cols - 1}));
  backend(ops::Sample<B>{
      .x = x.view(), .how = {1.0, 0, 1.0, 1.0}, .uniforms = ends, .columns = got});  // as likely as the likeliest
  BOOST_TEST(got == (std::vector<int>{0, cols - 1}));
}

// A flat row whose long list of columns ends where min_p says.
BOOST_AUTO_TEST_CASE_TEMPLATE(finds_what_is_likely_enough, B, Backends) {
  using T = typename B::Scalar;
  constexpr int cols = 2000;
  B backend(1);
  Matrix<T> x(2, cols);
  for (int r = 0; r < 2; ++r)
    for (int c = 0; c < cols; ++c) x(r, c) = T(c < 1500 ? 3 : 1);  // e^-2 = 0.135…
  const std::vector<double> ends = {0.0, 1.0 - 0x1p-53};
  std::vector<int> got(2);
  for (const double temperature : {1.0, 2.0}) {
    const double share = std::exp(-2.0 / temperature);
    backend(
        ops::Sample<B>{.x = x.view(), .how = {temperature, 0, 1.0, share * 1.01}, .uniforms = ends, .columns = got});
    BOOST_TEST(got == (std::vector<int>{0, 1499}));
    backend(
        ops::Sample<B>{.x = x.view(), .how = {temperature, 0, 1.0, share * 0.99}, .uniforms = ends, .columns = got});
    BOOST_TEST(got == (std::vector<int>{0, cols - 1}));
  }
}

// So cold that a float has no inverse of the temperature.
BOOST_AUTO_TEST_CASE_TEMPLATE(takes_the_largest_at_the_lowest_temperatures, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  Matrix<T> x(2, 40);
  for (int c = 0; c < 40; ++c) x(0, c) = x(1, c) = T(c == 7);
  const std::vector<double> uniforms = {0.0, 0.999};
  std::vector<int> got(2);
  for (const double temperature : {1e-30, 1e-45, 1e-300, 5e-324})
    for (const int top_k : {0, 5})
      for (const double top_p : {1.0, 0.9}) {
        backend(
            ops::Sample<B>{.x = x.view(), .how = {temperature, top_k, top_p}, .uniforms = uniforms, .columns = got});
        BOOST_TEST(got == (std::vector<int>{7, 7}));
      }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(says_what_is_not_finite, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  Matrix<T> x(2, 40);
  for (int c = 0; c < 40; ++c) x(0, c) = x(1, c) = T(c == 7);
  x(0, 30) = infinite<T>;
  x(1, 2) = std::numeric_limits<T>::quiet_NaN();
  const std::vector<double> uniforms = {0.1, 0.999};
  std::vector<int> got(2);
  for (const SamplingShape how : {SamplingShape{}, {1.0, 1, 1.0}, {1.0, 0, 0.5}, {0.5, 3, 0.9}}) {
    got.assign(2, -7);
    backend(ops::Sample<B>{.x = x.view(), .how = how, .uniforms = uniforms, .columns = got});
    BOOST_TEST(got == (std::vector<int>{-1, -1}));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(never_takes_what_is_ruled_out, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  for (const int cols : {1, 16, 40})
    for (const SamplingShape how : {SamplingShape{}, SamplingShape{1.0, 3, 1.0}, SamplingShape{2.0, 0, 0.5}}) {
      Matrix<T> x(3, cols);
      for (int r = 0; r < 3; ++r)
        for (int c = 0; c < cols; ++c) x(r, c) = -infinite<T>;
      x(1, cols / 2) = T(-5);
      for (const double uniform : {0.0, 0.5, 1.0 - 0x1p-53}) {
        std::vector<int> got(3, -7);
        backend(ops::Sample<B>{.x = x.view(), .how = how, .uniforms = std::vector<double>(3, uniform), .columns = got});
        BOOST_TEST(got == (std::vector<int>{-1, cols / 2, -1}));
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()
