// Linear maps against plain loops in double: few rows and many, which take different ways on the CPU, with odd widths.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_linear
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "backend/backends.hpp"
#include "backend/sums.hpp"

using namespace neural_attention;
using namespace cpu_support;

BOOST_AUTO_TEST_SUITE(linear)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, Backend, Backends) {
  using T = typename Backend::Scalar;
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
          const auto compute = [&](Backend& backend) {
            auto y = Matrix<T>::normal(rows, out, 4, 2);  // what was there does not matter
            backend(ops::Linear<Backend>{.x = x.view(),
                                         .w = w.view(),
                                         .bias = with_bias ? bias.view() : RowsOf<T>{},
                                         .activation = f,
                                         .y = y.view()});
            return y;
          };
          require_same_with_any_threads<Backend>("linear", compute);
          if (f == Activation::Relu)
            for (int r = 0; r < rows; ++r)
              for (int c = 0; c < out; ++c) sums.want(r, c) = std::max(sums.want(r, c), 0.0);
          Backend backend(1);
          require_sums("linear", compute(backend), sums);
        }
      }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(gradients_equal_the_formula, Backend, Backends) {
  using T = typename Backend::Scalar;
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
      auto dx = Matrix<T>::normal(rows, in, 4, 2);
      auto dw = Matrix<typename Backend::Real>::normal(out, in, 5, 1);
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
      Backend backend(2);
      backend(ops::LinearInputGradient<Backend>{
          .dy = dy.view(), .w = w.view(), .into = accumulate ? Into::Add : Into::Write, .dx = dx.view()});
      backend(ops::LinearWeightGradient<Backend>{.dy = dy.view(), .x = x.view(), .dw = dw.view()});
      require_sums("input gradient", dx, input);
      require_sums("weight gradient", dw, weight);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_activation_can_follow, Backend, Backends) {
  using T = typename Backend::Scalar;
  constexpr int rows = 9, out = 65, in = 33;
  constexpr double steepest = 1.2;  // of all activations
  auto x = Matrix<T>::normal(rows, in, 1), w = Matrix<T>::normal(out, in, 2), bias = Matrix<T>::normal(1, out, 3);
  Sums sums(rows, out);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < out; ++c) {
      sums.add(r, c, double(bias(0, c)));
      for (int i = 0; i < in; ++i) sums.add(r, c, double(x(r, i)) * double(w(c, i)));
    }
  Backend backend(2);
  for (const auto f : {Activation::Relu, Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Mish}) {
    Matrix<T> y(rows, out), after(rows, out);
    backend(ops::Linear<Backend>{.x = x.view(), .w = w.view(), .bias = bias.view(), .activation = f, .y = y.view()});
    backend(ops::Linear<Backend>{.x = x.view(), .w = w.view(), .bias = bias.view(), .y = after.view()});
    backend(ops::Activate<Backend>{.f = f, .x = after.view(), .y = after.view()});
    require_close<T>("activation", y, 2 * 4 * steepest, after, sums.size);  // either way may be off by 4 ulp
  }
}

// Such as a part of a longer vector, which does not lie where cuBLASLt can read a bias.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_bias_may_begin_anywhere, Backend, Backends) {
  using T = typename Backend::Scalar;
  constexpr int rows = 9, out = 65, in = 33;
  auto x = Matrix<T>::normal(rows, in, 1), w = Matrix<T>::normal(out, in, 2), longer = Matrix<T>::normal(1, out + 7, 3);
  Backend backend(2);
  for (const int first : {1, 2, 4, 7}) {
    auto bias = Matrix<T>(1, out);
    for (int c = 0; c < out; ++c) bias(0, c) = longer(0, first + c);
    Matrix<T> y(rows, out), expected(rows, out);
    const auto part = longer.view().columns(first, out);
    for (const auto f : {Activation::Identity, Activation::Relu, Activation::Gelu}) {
      backend(ops::Linear<Backend>{.x = x.view(), .w = w.view(), .bias = part, .activation = f, .y = y.view()});
      backend(ops::Linear<Backend>{
          .x = x.view(), .w = w.view(), .bias = bias.view(), .activation = f, .y = expected.view()});
      require_same_bits<T>("linear", y, expected);
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(relu_keeps_what_is_not_a_number, Backend, Backends) {
  using T = typename Backend::Scalar;
  constexpr int rows = 12, out = 40, in = 20;  // more rows than the CPU multiplies without packing
  auto x = Matrix<T>::normal(rows, in, 1), w = Matrix<T>::normal(out, in, 2), bias = Matrix<T>::normal(1, out, 3);
  Matrix<T> y(rows, out);
  x(5, 7) = std::numeric_limits<T>::quiet_NaN();
  Backend backend(2);
  for (const bool with_bias : {false, true}) {
    backend(ops::Linear<Backend>{.x = x.view(),
                                 .w = w.view(),
                                 .bias = with_bias ? bias.view() : RowsOf<T>{},
                                 .activation = Activation::Relu,
                                 .y = y.view()});
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < out; ++c) BOOST_TEST(std::isnan(double(y(r, c))) == (r == 5));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(without_rows_nothing_happens, Backend, Backends) {
  using T = typename Backend::Scalar;
  constexpr int out = 7, in = 5;
  auto w = Matrix<T>::normal(out, in, 1), some = Matrix<T>::normal(out, in, 2);
  auto dw = Matrix<typename Backend::Real>::normal(out, in, 2), before = dw;
  const RowsOf<T> inputs(some.view().data, 0, in), outputs(some.view().data, 0, out);
  Backend backend(2);
  backend(ops::Linear<Backend>{.x = inputs, .w = w.view(), .activation = Activation::Relu, .y = outputs});
  backend(ops::LinearInputGradient<Backend>{.dy = outputs, .w = w.view(), .dx = inputs});
  backend(ops::LinearWeightGradient<Backend>{.dy = outputs, .x = inputs, .dw = dw.view()});
  require_same_bits("dw", dw, before);
}

BOOST_AUTO_TEST_SUITE_END()
