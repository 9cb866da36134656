// Learned rational functions against plain loops in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_rational
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "backend/backends.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

// Two polynomials, a quotient and, for the slope, as many again.
constexpr double roundings = 64;

template <class T>
struct Case {
  Case(int rows, int cols, int groups, int m, int n)
      : x(Matrix<T>::normal(rows, cols, 1, 3)),
        dy(Matrix<T>::normal(rows, cols, 2, 2)),
        numerator(Matrix<T>::normal(1, m + 1, 3)),
        denominator(Matrix<T>::normal(groups, n, 4)) {}

  struct Values {
    double p, q, slope, p_terms, slope_terms;
  };
  /// The function at one element, and the sums of the sizes of its terms.
  Values at(int row, int col) const {
    const int groups = denominator.rows();
    int group = 0;
    while (first_of_group(group + 1, groups, x.cols()) <= col) ++group;
    const double value = double(x(row, col)), size = std::abs(value);
    Values v{0, 1, 0, 0, 0};
    double dp = 0, dq = 0, dp_terms = 0;
    for (int i = 0; i < numerator.cols(); ++i) {
      const double a = double(numerator(0, i)), term = a * std::pow(value, i);
      v.p += term;
      v.p_terms += std::abs(term);
      if (i > 0) dp += i * a * std::pow(value, i - 1);
      if (i > 0) dp_terms += std::abs(i * a * std::pow(value, i - 1));
    }
    for (int j = 1; j <= denominator.cols(); ++j) {
      const double b = std::abs(double(denominator(group, j - 1)));
      v.q += b * std::pow(size, j);
      dq += j * b * std::pow(size, j - 1) * (value < 0 ? -1 : 1);
    }
    v.slope = (dp - v.p / v.q * dq) / v.q;
    v.slope_terms = (dp_terms + v.p_terms / v.q * std::abs(dq)) / v.q;
    return v;
  }

  Matrix<T> x, dy, numerator, denominator;
};

struct Shape {
  int rows, cols, groups, m, n;
};
const std::vector<Shape> cases = {{1, 1, 1, 5, 4},   {3, 7, 2, 5, 4},  {5, 16, 8, 5, 4}, {2, 33, 8, 5, 4},
                                  {67, 40, 8, 5, 4}, {4, 12, 3, 3, 2}, {9, 20, 1, 8, 8}, {3, 5, 5, 0, 1}};

}  // namespace

BOOST_AUTO_TEST_SUITE(rational)

BOOST_AUTO_TEST_CASE_TEMPLATE(forward, B, Backends) {
  using T = typename B::Scalar;
  for (const auto& [rows, cols, groups, m, n] : cases) {
    B backend(2);
    Case<T> of(rows, cols, groups, m, n);
    Matrix<T> y(rows, cols, 1);
    backend(ops::Rational<B>{
        .x = of.x.view(), .numerator = of.numerator.view(), .denominator = of.denominator.view(), .y = y.view()});
    require_close<T>(
        "rational", y, roundings, [&](int r, int c) { return of.at(r, c).p / of.at(r, c).q; },
        [&](int r, int c) { return of.at(r, c).p_terms / of.at(r, c).q; });
    auto in_place = of.x;
    backend(ops::Rational<B>{.x = in_place.view(),
                             .numerator = of.numerator.view(),
                             .denominator = of.denominator.view(),
                             .y = in_place.view()});
    require_same_bits<T>("rational in place", in_place, y);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(backward, B, Backends) {
  using T = typename B::Scalar;
  using Real = typename B::Real;
  for (const auto& [rows, cols, groups, m, n] : cases)
    for (const auto into : {Into::Write, Into::Add}) {
      B backend(2);
      Case<T> of(rows, cols, groups, m, n);
      const auto dx0 = Matrix<T>::normal(rows, cols, 5, 1);
      const auto da0 = Matrix<Real>::normal(1, m + 1, 6), db0 = Matrix<Real>::normal(groups, n, 7);
      auto dx = dx0;
      auto da = da0;
      auto db = db0;
      backend(ops::RationalBackward<B>{.dy = of.dy.view(),
                                       .x = of.x.view(),
                                       .numerator = of.numerator.view(),
                                       .denominator = of.denominator.view(),
                                       .into = into,
                                       .dx = dx.view(),
                                       .dnumerator = da.view(),
                                       .ddenominator = db.view()});
      const auto old = [&](int r, int c) { return into == Into::Add ? double(dx0(r, c)) : 0.0; };
      require_close<T>(
          "dx", dx, roundings, [&](int r, int c) { return old(r, c) + double(of.dy(r, c)) * of.at(r, c).slope; },
          [&](int r, int c) { return std::abs(old(r, c)) + std::abs(double(of.dy(r, c))) * of.at(r, c).slope_terms; });

      const auto sum = [&](auto&& term, int first, int end) {
        double total = 0;
        for (int r = 0; r < rows; ++r)
          for (int c = first; c < end; ++c) total += term(r, c);
        return total;
      };
      const auto of_a = [&](int i, int r, int c) {
        return double(of.dy(r, c)) * std::pow(double(of.x(r, c)), i) / of.at(r, c).q;
      };
      const auto of_b = [&](int group, int j, int r, int c) {
        const auto v = of.at(r, c);
        const double sign = double(of.denominator(group, j)) < 0 ? -1 : 1;
        return -double(of.dy(r, c)) * v.p / (v.q * v.q) * std::pow(std::abs(double(of.x(r, c))), j + 1) * sign;
      };
      const auto of_b_size = [&](int group, int j, int r, int c) {
        const auto v = of.at(r, c);
        return v.p == 0 ? 0.0 : std::abs(of_b(group, j, r, c)) * v.p_terms / std::abs(v.p);
      };
      const double summands = roundings + 2 * rows * cols;
      require_close<Real>(
          "dnumerator", da, summands,
          [&](int, int i) { return double(da0(0, i)) + sum([&](int r, int c) { return of_a(i, r, c); }, 0, cols); },
          [&](int, int i) {
            return std::abs(double(da0(0, i))) + sum([&](int r, int c) { return std::abs(of_a(i, r, c)); }, 0, cols);
          });
      require_close<Real>(
          "ddenominator", db, summands,
          [&](int g, int j) {
            return double(db0(g, j)) + sum([&](int r, int c) { return of_b(g, j, r, c); },
                                           first_of_group(g, groups, cols), first_of_group(g + 1, groups, cols));
          },
          [&](int g, int j) {
            return std::abs(double(db0(g, j))) + sum([&](int r, int c) { return of_b_size(g, j, r, c); },
                                                     first_of_group(g, groups, cols),
                                                     first_of_group(g + 1, groups, cols));
          });
    }
}

BOOST_AUTO_TEST_CASE(has_the_same_bits_with_any_number_of_threads) {
  using B = Cpu<float>;
  Case<float> of(700, 72, 8, 5, 4);
  std::vector<Matrix<float>> dx, da, db;
  for (const int threads : {1, 2, 7}) {
    B backend(threads);
    dx.emplace_back(700, 72);
    da.push_back(Matrix<float>(1, 6));
    db.push_back(Matrix<float>(8, 4));
    backend(ops::FillOf<float>{.x = da.back().view(), .value = 0});
    backend(ops::FillOf<float>{.x = db.back().view(), .value = 0});
    backend(ops::RationalBackward<B>{.dy = of.dy.view(),
                                     .x = of.x.view(),
                                     .numerator = of.numerator.view(),
                                     .denominator = of.denominator.view(),
                                     .dx = dx.back().view(),
                                     .dnumerator = da.back().view(),
                                     .ddenominator = db.back().view()});
    require_same_bits<float>("dx", dx.back(), dx.front());
    require_same_bits<float>("dnumerator", da.back(), da.front());
    require_same_bits<float>("ddenominator", db.back(), db.front());
  }
}

BOOST_AUTO_TEST_SUITE_END()
