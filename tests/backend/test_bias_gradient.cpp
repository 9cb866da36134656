// The gradient of a bias on every backend against plain loops in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_bias_gradient
#include <boost/test/unit_test.hpp>

#include "backend/backends.hpp"

using namespace neural_attention;
using namespace cpu_support;

BOOST_AUTO_TEST_SUITE(bias_gradient)

// Rows that are less and more than what a block of a GPU sums, in more pieces than there may be.
BOOST_AUTO_TEST_CASE_TEMPLATE(adds_column_sums, B, Backends) {
  using T = typename B::Scalar;
  using Real = typename B::Real;
  for (const auto [rows, cols] : {Shape{1, 1}, {5, 1}, {3, 16}, {63, 33}, {64, 777}, {300, 132}, {4500, 8}})
    for (const int gap : {0, 3}) {
      auto dy = Matrix<T>::normal(rows, cols, 1, gap);
      const auto before = Matrix<Real>::normal(1, cols, 2, gap);
      const auto compute = [&](B& backend) {
        auto db = before;
        backend(ops::BiasGradient<B>{.dy = dy.view(), .db = db.view()});
        return db;
      };
      require_same_with_any_threads<B>("bias_gradient", compute);
      Matrix<double> want(1, cols), size(1, cols);
      for (int c = 0; c < cols; ++c) {
        want(0, c) = double(before(0, c));
        size(0, c) = std::abs(want(0, c));
        for (int r = 0; r < rows; ++r) {
          want(0, c) += double(dy(r, c));
          size(0, c) += std::abs(double(dy(r, c)));
        }
      }
      B backend(1);
      // A sum of n terms is off by at most √n ulp of the root of their squares, so by few ulp of the sum of their
      // sizes.
      require_close<Real>("bias_gradient", compute(backend), 4, want, size);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_no_rows_adds_nothing, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  auto db = Matrix<typename B::Real>::normal(1, 33, 1), before = db;
  backend(ops::BiasGradient<B>{.dy = Matrix<T>(1, 33).view().slice(0, 0), .db = db.view()});
  require_same_bits("db", db, before);
}

BOOST_AUTO_TEST_SUITE_END()
