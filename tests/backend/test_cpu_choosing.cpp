// Choosing tokens on the CPU: assignment to single elements, log-sum-exp, the k largest and random draws of each row,
// against plain loops in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE cpu_choosing
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <numeric>

#include "backend/cpu_support.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

template <class T>
constexpr T infinite = std::numeric_limits<T>::infinity();

/// Some elements of every row -inf, as processors leave them.
template <class T>
Matrix<T> partly_ruled_out(int rows, int cols, unsigned stream) {
  auto x = Matrix<T>::normal(rows, cols, stream, 3);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < cols; ++c)
      if ((r + 3 * c) % 7 == 1) x(r, c) = -infinite<T>;
  return x;
}

/// The probabilities that SamplingShape leaves of one row, by Hugging Face's definitions: its warpers one after
/// another.
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
    auto sorted = logits;
    std::sort(sorted.rbegin(), sorted.rend());
    const double least = sorted[std::min(sorted.size(), static_cast<std::size_t>(how.top_k)) - 1];
    for (double& v : logits)
      if (v < least) v = -infinite<double>;
  }
  if (how.top_p < 1.0) {
    const auto p = softmax(logits);
    std::vector<std::size_t> order(p.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] < p[b]; });
    double below = 0.0;
    for (std::size_t i = 0; i + 1 < order.size(); ++i)
      if ((below += p[order[i]]) <= 1.0 - how.top_p) logits[order[i]] = -infinite<double>;
  }
  return softmax(logits);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(assign)

BOOST_AUTO_TEST_CASE_TEMPLATE(changes_what_is_named_only, T, Scalars) {
  Cpu<T> backend(2);
  auto x = Matrix<T>::normal(7, 33, 1, 2);
  auto want = x;
  const std::vector<int> rows = {0, 6, 3, 3, 3}, cols = {0, 32, 5, 6, 5};
  for (std::size_t i = 0; i < rows.size(); ++i) want(rows[i], cols[i]) = -infinite<T>;
  backend.assign(x.view(), rows, cols, -infinite<T>);
  require_same_bits<T>("assign", x, want);
  BOOST_TEST(x.guards_hold());
  backend.assign(x.view(), {}, {}, T(1));
  require_same_bits<T>("assign nothing", x, want);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(log_sum_exp)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, T, Scalars) {
  // The exponentials of differences of size 10 are off by a few ulp of 10, and a sum of n by a walk of √n at most.
  constexpr double difference = 10;
  for (const bool some_out : {false, true})
    for (const auto [rows, cols] : shapes) {
      if (some_out && cols == 1) continue;
      auto x = some_out ? partly_ruled_out<T>(rows, cols, 1) : Matrix<T>::normal(rows, cols, 1, 3);
      std::vector<double> got(static_cast<std::size_t>(rows)), again(got);
      Cpu<T> one(1), seven(7);
      one.log_sum_exp(x.view(), got);
      seven.log_sum_exp(x.view(), again);
      BOOST_TEST(got == again);
      for (int r = 0; r < rows; ++r) {
        double sum = 0.0;
        for (int c = 0; c < cols; ++c) sum += std::exp(double(x(r, c)));
        const double want = std::log(sum);
        BOOST_TEST(close(static_cast<T>(got[std::size_t(r)]), want, difference + std::sqrt(cols), 4),
                   got[std::size_t(r)] << " instead of " << want);
      }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(says_what_is_not_finite, T, Scalars) {
  Cpu<T> backend(1);
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
    backend.log_sum_exp(x.view(), got);
    BOOST_TEST(close(static_cast<T>(got[0]), 90000 + std::log(cols), 90000, 2));
    BOOST_TEST(got[1] == -infinite<double>);
    BOOST_TEST(std::isnan(got[2]));
    BOOST_TEST(std::isnan(got[3]));
    BOOST_TEST(std::isnan(got[4]));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(top_k)

BOOST_AUTO_TEST_CASE_TEMPLATE(finds_the_largest_in_order, T, Scalars) {
  int short_rows = 0;
  for (const bool rounded : {false, true})  // equals are common
    for (const auto [rows, cols] : shapes)
      for (const int k : {1, 2, 8, 40, 777}) {
        if (k > cols) continue;
        auto x = partly_ruled_out<T>(rows, cols, 1);
        if (rounded)
          for (int r = 0; r < rows; ++r)
            for (int c = 0; c < cols; ++c) x(r, c) = std::round(x(r, c));
        x(0, 0) = std::numeric_limits<T>::quiet_NaN();
        const auto size = static_cast<std::size_t>(rows) * static_cast<std::size_t>(k);
        std::vector<T> values(size), values_again(size);
        std::vector<int> columns(size), columns_again(size);
        Cpu<T> one(1), seven(7);
        one.top_k(x.view(), k, values, columns);
        seven.top_k(x.view(), k, values_again, columns_again);
        BOOST_TEST((values == values_again && columns == columns_again));
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

// Ascending rows replace the whole selection again and again.
BOOST_AUTO_TEST_CASE(does_not_care_for_the_order_of_a_row) {
  constexpr int cols = 5000, k = 12;
  Cpu<float> backend(1);
  for (const int sign : {1, -1}) {
    Matrix<float> x(1, cols);
    for (int c = 0; c < cols; ++c) x(0, c) = float(sign * c);
    std::vector<float> values(k);
    std::vector<int> columns(k);
    backend.top_k(x.view(), k, values, columns);
    for (int i = 0; i < k; ++i) BOOST_TEST(columns[std::size_t(i)] == (sign > 0 ? cols - 1 - i : i));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sample)

// With n evenly spaced numbers in [0, 1), a column is drawn n · p times, less or more one, and columns come in order.
BOOST_AUTO_TEST_CASE_TEMPLATE(gives_every_column_its_share, T, Scalars) {
  constexpr int draws = 400;
  std::vector<double> uniforms;
  for (int i = 0; i < draws; ++i) uniforms.push_back((i + 0.5) / draws);
  int narrowed = 0;
  for (const int cols : {1, 7, 16, 40, 777})
    for (const double temperature : {1.0, 0.5, 3.0})
      for (const int k : {0, 1, 5, 300})
        for (const double p : {1.0, 0.9, 0.3}) {
          const SamplingShape how{temperature, k, p};
          auto row = cols == 1 ? Matrix<T>::normal(1, 1, 4) : partly_ruled_out<T>(1, cols, 4);
          Matrix<T> x(draws, cols, 1);
          for (int r = 0; r < draws; ++r)
            for (int c = 0; c < cols; ++c) x(r, c) = row(0, c);
          std::vector<int> got(draws, -7), again(got);
          Cpu<T> one(1), two(2);
          one.sample(x.view(), how, uniforms, got);
          two.sample(x.view(), how, uniforms, again);
          BOOST_TEST(got == again);
          BOOST_TEST(std::is_sorted(got.begin(), got.end()));
          std::vector<double> logits;
          for (int c = 0; c < cols; ++c) logits.push_back(double(row(0, c)));
          const auto want = warped(logits, how);
          for (int c = 0; c < cols; ++c) {
            const double count = double(std::count(got.begin(), got.end(), c)), expected = draws * want[std::size_t(c)];
            // Rounding moves the borders of a share by a few ulp.
            BOOST_TEST_REQUIRE(std::abs(count - expected) <= 1.01,
                               "column " << c << " of " << cols << ": " << count << " draws instead of " << expected);
            if (want[std::size_t(c)] == 0.0) BOOST_TEST_REQUIRE(count == 0);
            narrowed += want[std::size_t(c)] == 0.0 && row(0, c) > -infinite<T>;
          }
        }
  BOOST_TEST(narrowed > 1000);
}

// A flat row, of which nearly all columns are needed to hold 0.97 of the probability.
BOOST_AUTO_TEST_CASE(finds_long_nuclei) {
  constexpr int cols = 5000, draws = 500;
  Cpu<double> backend(1);
  Matrix<double> x(draws, cols);
  for (int r = 0; r < draws; ++r)
    for (int c = 0; c < cols; ++c) x(r, c) = 1e-4 * ((c * 7919) % cols);
  std::vector<double> uniforms, logits;
  for (int c = 0; c < cols; ++c) logits.push_back(x(0, c));
  for (int i = 0; i < draws; ++i) uniforms.push_back((i + 0.5) / draws);
  std::vector<int> got(draws);
  const SamplingShape how{1.0, 0, 0.97};
  backend.sample(x.view(), how, uniforms, got);
  const auto want = warped(logits, how);
  double below = 0.0;
  for (int i = 0, c = 0; i < draws; ++i) {
    while (below + want[std::size_t(c)] <= uniforms[std::size_t(i)]) below += want[std::size_t(c++)];
    BOOST_TEST_REQUIRE(got[std::size_t(i)] == c);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(never_takes_what_is_ruled_out, T, Scalars) {
  Cpu<T> backend(1);
  for (const int cols : {1, 16, 40})
    for (const SamplingShape how : {SamplingShape{}, SamplingShape{1.0, 3, 1.0}, SamplingShape{2.0, 0, 0.5}}) {
      Matrix<T> x(3, cols);
      for (int r = 0; r < 3; ++r)
        for (int c = 0; c < cols; ++c) x(r, c) = -infinite<T>;
      x(1, cols / 2) = T(-5);
      for (const double uniform : {0.0, 0.5, 1.0 - 0x1p-53}) {
        std::vector<int> got(3, -7);
        backend.sample(x.view(), how, std::vector<double>(3, uniform), got);
        BOOST_TEST(got == (std::vector<int>{-1, cols / 2, -1}));
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(attention_probabilities)

// A score sums `width` products of size 1 and the softmax a few roundings more.
BOOST_AUTO_TEST_CASE_TEMPLATE(equal_the_formula, T, Scalars) {
  constexpr double roundings = 16;
  for (const bool causal : {false, true})
    for (const auto& size : {Shape{1, 1}, {5, 3}, {3, 40}, {70, 150}})
      for (const int heads : {1, 3}) {
        const int width = 8, queries = size.rows, keys = size.cols;
        auto q = Matrix<T>::normal(queries, heads * width, 1, 3), k = Matrix<T>::normal(keys, heads * width, 2, 5);
        const AttentionShape shape{heads, 0.3, causal};
        const auto compute = [&](Cpu<T>& backend) {
          Matrix<T> out(heads * queries, keys, 2);
          backend.attention_probabilities(q.view(), k.view(), shape, out.view());
          return out;
        };
        require_same_with_any_threads<Cpu<T>>("attention_probabilities", compute);
        Cpu<T> backend(1);
        const auto got = compute(backend);
        Matrix<double> want(heads * queries, keys);
        for (int head = 0; head < heads; ++head)
          for (int i = 0; i < queries; ++i) {
            double sum = 0.0;
            for (int j = 0; j < keys && !(causal && j > i); ++j) {
              double score = 0.0;
              for (int c = head * width; c < (head + 1) * width; ++c) score += double(q(i, c)) * double(k(j, c));
              sum += want(head * queries + i, j) = std::exp(shape.scale * score);
            }
            double total = 0.0;
            for (int j = 0; j < keys; ++j) {
              want(head * queries + i, j) /= sum;
              total += double(got(head * queries + i, j));
            }
            BOOST_TEST(close(static_cast<T>(total), 1.0, 1.0, 4));
          }
        require_close<T>("probabilities", got, roundings, want, [&](int r, int c) { return width * want(r, c); });
      }
}

BOOST_AUTO_TEST_SUITE_END()
