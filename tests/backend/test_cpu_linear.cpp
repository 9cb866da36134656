// Linear maps on the CPU against plain loops in double: few rows and many, which take different ways, with odd widths.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE cpu_linear
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "backend/cpu_support.hpp"
#include "neural_attention/core/errors.hpp"

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
  // Besides edges: more than a panel of either operand holds, in each direction.
  for (const auto [rows, out, in] : {std::array{1, 1, 1},
                                     {4, 3, 40},
                                     {8, 65, 15},
                                     {9, 130, 33},
                                     {40, 65, 15},
                                     {300, 33, 1100},
                                     {2700, 40, 30},
                                     {18, 2700, 25},
                                     {250, 1100, 17}})
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

#if !defined(NEURAL_ATTENTION_ONEDNN)
BOOST_AUTO_TEST_CASE_TEMPLATE(a_row_does_not_depend_on_the_other_rows, T, Scalars) {
  const int rows = 300, out = 1100, in = 1500, first = 7, part = 31;
  auto x = Matrix<T>::normal(rows, in, 1), w = Matrix<T>::normal(out, in, 2);
  Matrix<T> all(rows, out), some(part, out), expected(part, out);
  Cpu<T> backend(2);
  backend.linear(x.view(), w.view(), {}, Activation::Identity, all.view());
  backend.linear(x.view().slice(first, part), w.view(), {}, Activation::Identity, some.view());
  backend.copy(all.view().slice(first, part), expected.view());
  require_same_bits<T>("rows of a larger product", expected, some);
}
#endif

BOOST_AUTO_TEST_CASE(bfloat16_products_are_those_of_rounded_operands) {
  const auto rounded = [](Matrix<float> m) {
    for (int r = 0; r < m.rows(); ++r)
      for (int c = 0; c < m.cols(); ++c) {
        // A bfloat16 has 8 bits: the nearest multiple of a power of two, ties to even.
        int exponent = 0;
        std::frexp(m(r, c), &exponent);
        m(r, c) = std::ldexp(std::nearbyint(std::ldexp(m(r, c), 8 - exponent)), exponent - 8);
      }
    return m;
  };
  for (const auto [rows, out, in] : {std::array{3, 40, 300}, {40, 65, 33}}) {
    auto x = Matrix<float>::normal(rows, in, 1, 3), w = Matrix<float>::normal(out, in, 2, 1);
    auto dy = Matrix<float>::normal(rows, out, 3);
    auto x_rounded = rounded(x), w_rounded = rounded(w), dy_rounded = rounded(dy);
    Matrix<float> y(rows, out), dx(rows, in), dw(out, in);
    Cpu<float> backend(2, Precision::BFloat16);
    BOOST_TEST((backend.precision() == Precision::BFloat16));
    backend.linear(x.view(), w.view(), {}, Activation::Identity, y.view());
    backend.linear_input_gradient(dy.view(), w.view(), false, dx.view());
    backend.fill(dw.view(), 0.0f);
    backend.linear_weight_gradient(dy.view(), x.view(), dw.view());
    Sums output(rows, out), input(rows, in), weight(out, in);
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < out; ++c)
        for (int i = 0; i < in; ++i) {
          output.add(r, c, double(x_rounded(r, i)) * double(w_rounded(c, i)));
          input.add(r, i, double(dy_rounded(r, c)) * double(w_rounded(c, i)));
          weight.add(c, i, double(dy_rounded(r, c)) * double(x_rounded(r, i)));
        }
    require_sums("y", y, output);
    require_sums("dx", dx, input);
    require_sums("dw", dw, weight);
  }
}

BOOST_AUTO_TEST_CASE(bfloat16_products_keep_what_is_not_finite) {
  Matrix<float> x(1, 3), w(3, 3), y(1, 3);
  const float values[] = {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1.0f};
  for (int c = 0; c < 3; ++c) {
    x(0, c) = 1.0f;
    for (int i = 0; i < 3; ++i) w(c, i) = i == c ? values[c] : 0.0f;
  }
  Cpu<float> backend(1, Precision::BFloat16);
  backend.linear(x.view(), w.view(), {}, Activation::Identity, y.view());
  BOOST_TEST(y(0, 0) == values[0]);
  BOOST_TEST(std::isnan(y(0, 1)));
  BOOST_TEST(y(0, 2) == 1.0f);
}

BOOST_AUTO_TEST_CASE(bfloat16_needs_float) { BOOST_CHECK_THROW(Cpu<double>(1, Precision::BFloat16), ConfigError); }

BOOST_AUTO_TEST_SUITE_END()
