// Linear maps on the CPU against plain loops in double: few rows and many, which take different ways, with odd widths.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE cpu_linear
#include <boost/test/unit_test.hpp>

#include "backend/cpu_support.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

/// What a sum should be and the sum of the absolute terms.
struct Sums {
  Sums(int rows, int cols) : want(rows, cols), size(rows, cols) {}
  void add(int r, int c, double term) {
    want(r, c) += term;
    size(r, c) += std::abs(term);
  }
  Matrix<double> want, size;
};

/// A sum of n terms is off by at most √n ulp of the root of their squares, so by few ulp of the sum of their sizes.
template <class T>
void require_sums(const std::string& name, const Matrix<T>& got, const Sums& sums) {
  require_close<T>(name, got, 4, sums.want, sums.size);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(linear)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, T, Scalars) {
  for (const int rows : {1, 2, 3, 4, 5, 7, 8, 9, 16, 40})
    for (const auto& size : {Shape{1, 1}, {3, 40}, {65, 15}, {130, 33}, {64, 256}, {700, 100}})
      for (const bool with_bias : {false, true}) {
        const int out = size.rows, in = size.cols;
        auto x = Matrix<T>::normal(rows, in, 1, 3), w = Matrix<T>::normal(out, in, 2, 1),
             bias = Matrix<T>::normal(1, out, 3);
        Sums sums(rows, out);
        for (int r = 0; r < rows; ++r)
          for (int c = 0; c < out; ++c) {
            if (with_bias) sums.add(r, c, double(bias(0, c)));
            for (int i = 0; i < in; ++i) sums.add(r, c, double(x(r, i)) * double(w(c, i)));
          }
        for (const auto f : {Activation::Identity, Activation::Relu}) {
          const auto compute = [&](Cpu<T>& backend) {
            auto y = Matrix<T>::normal(rows, out, 4, 2);  // what was there does not matter
            backend.linear(x.view(), w.view(), with_bias ? bias.view() : RowsOf<T>{}, f, y.view());
            return y;
          };
          require_same_with_any_threads<T>("linear", compute);
          if (f == Activation::Relu)
            for (int r = 0; r < rows; ++r)
              for (int c = 0; c < out; ++c) sums.want(r, c) = std::max(sums.want(r, c), 0.0);
          Cpu<T> backend(1);
          require_sums("linear", compute(backend), sums);
        }
      }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(gradients_equal_the_formula, T, Scalars) {
  for (const int rows : {1, 4, 8, 9, 40})
    for (const auto [out, in] : {Shape{1, 1}, {3, 40}, {65, 15}, {130, 33}})
      for (const bool accumulate : {false, true}) {
        auto dy = Matrix<T>::normal(rows, out, 1, 3), w = Matrix<T>::normal(out, in, 2, 1),
             x = Matrix<T>::normal(rows, in, 3, 2);
        auto dx = Matrix<T>::normal(rows, in, 4, 2), dw = Matrix<T>::normal(out, in, 5, 1);
        Sums input(rows, in), weight(out, in);
        for (int r = 0; r < rows; ++r)
          for (int c = 0; c < in; ++c) {
            if (accumulate) input.add(r, c, double(dx(r, c)));
            for (int i = 0; i < out; ++i) input.add(r, c, double(dy(r, i)) * double(w(i, c)));
          }
        for (int r = 0; r < out; ++r)
          for (int c = 0; c < in; ++c) {
            weight.add(r, c, double(dw(r, c)));
            for (int i = 0; i < rows; ++i) weight.add(r, c, double(dy(i, r)) * double(x(i, c)));
          }
        Cpu<T> backend(2);
        backend.linear_input_gradient(dy.view(), w.view(), accumulate, dx.view());
        backend.linear_weight_gradient(dy.view(), x.view(), dw.view());
        require_sums("input gradient", dx, input);
        require_sums("weight gradient", dw, weight);
      }
}

BOOST_AUTO_TEST_SUITE_END()
