// What is the CPU's own of linear maps: rows that do not depend on others, and products of bfloat16 numbers.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE cpu_linear
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "backend/sums.hpp"
#include "neural_attention/core/errors.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

/// A bfloat16 has 8 bits: the nearest multiple of a power of two, ties to even.
Matrix<float> rounded(Matrix<float> m) {
  for (int r = 0; r < m.rows(); ++r)
    for (int c = 0; c < m.cols(); ++c) {
      int exponent = 0;
      std::frexp(m(r, c), &exponent);
      m(r, c) = std::ldexp(std::nearbyint(std::ldexp(m(r, c), 8 - exponent)), exponent - 8);
    }
  return m;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(linear)

#if !defined(NEURAL_ATTENTION_ONEDNN)
BOOST_AUTO_TEST_CASE_TEMPLATE(a_row_does_not_depend_on_the_other_rows, T, Scalars) {
  const int rows = 300, out = 1100, in = 1500, first = 7, part = 31;
  auto x = Matrix<T>::normal(rows, in, 1), w = Matrix<T>::normal(out, in, 2);
  Matrix<T> all(rows, out), some(part, out), expected(part, out);
  Cpu<T> backend(2);
  backend(ops::Linear<Cpu<T>>{.x = x.view(), .w = w.view(), .y = all.view()});
  backend(ops::Linear<Cpu<T>>{.x = x.view().slice(first, part), .w = w.view(), .y = some.view()});
  backend(ops::Copy<Cpu<T>>{.x = all.view().slice(first, part), .y = expected.view()});
  require_same_bits<T>("rows of a larger product", expected, some);
}
#endif

#if !defined(NEURAL_ATTENTION_ONEDNN)
BOOST_AUTO_TEST_CASE_TEMPLATE(few_rows_have_the_bits_of_many, T, Scalars) {
  const int rows = 20;
  for (const auto& [out, in] : {std::pair{64, 512}, {100, 1300}, {17, 250}, {1, 1}, {3, 5}, {1100, 33}, {250, 2700}}) {
    auto x = Matrix<T>::normal(rows, in, 1), w = Matrix<T>::normal(out, in, 2), bias = Matrix<T>::normal(1, out, 3);
    Matrix<T> all(rows, out);
    Cpu<T> backend(2);
    for (const auto& added : {RowsOf<T>(), bias.view()}) {
      backend(ops::Linear<Cpu<T>>{
          .x = x.view(), .w = w.view(), .bias = added, .activation = Activation::Gelu, .y = all.view()});
      for (int few = 1; few <= 9; ++few) {
        Matrix<T> some(few, out), expected(few, out);
        backend(ops::Linear<Cpu<T>>{.x = x.view().slice(rows - few, few),
                                    .w = w.view(),
                                    .bias = added,
                                    .activation = Activation::Gelu,
                                    .y = some.view()});
        backend(ops::Copy<Cpu<T>>{.x = all.view().slice(rows - few, few), .y = expected.view()});
        require_same_bits<T>("a few rows of a product", expected, some);
      }
    }
  }
}
#endif

BOOST_AUTO_TEST_CASE_TEMPLATE(kept_weights_change_no_bit, T, Scalars) {
  Cpu<T> kept(2), other(2);
  auto w = Matrix<T>::normal(1100, 1500, 1);
  for (int pass = 0; pass < 2; ++pass) {
    kept.keep_weights(true);
    for (const auto& size : {Shape{1100, 1500}, {40, 33}, {1100, 15}, {1, 1}}) {
      const auto part = RowsOf<T>(w.view().data, size.rows, size.cols);
      for (const int rows : {9, 40, 3, 40}) {
        auto x = Matrix<T>::normal(rows, size.cols, 3 + rows), bias = Matrix<T>::normal(1, size.rows, 4);
        Matrix<T> got(rows, size.rows), want(rows, size.rows);
        kept(ops::Linear<Cpu<T>>{
            .x = x.view(), .w = part, .bias = bias.view(), .activation = Activation::Relu, .y = got.view()});
        other(ops::Linear<Cpu<T>>{
            .x = x.view(), .w = part, .bias = bias.view(), .activation = Activation::Relu, .y = want.view()});
        require_same_bits<T>("kept weights", want, got);
      }
    }
    kept.keep_weights(false);
    other(ops::Scale<Cpu<T>>{.x = w.view(), .factor = 2.0});  // other weights in the same place
  }
}

// The values change here behind the backend's back, which shows whether it has packed them again.
BOOST_AUTO_TEST_CASE_TEMPLATE(weights_of_a_version_are_packed_once, T, Scalars) {
  const int rows = 40, n = 33, k = 50;
  auto x = Matrix<T>::normal(rows, k, 3), w = Matrix<T>::normal(n, k, 1), other = Matrix<T>::normal(n, k, 2);
  Cpu<T> backend(2), fresh(2);
  const auto product = [&](Cpu<T>& by, Matrix<T>& weights) {
    Matrix<T> y(rows, n);
    by(ops::Linear<Cpu<T>>{.x = x.view(), .w = weights.view(), .y = y.view()});
    return y;
  };
  const auto kept = [&](const WeightsVersion& version, Matrix<T>& weights) {
    backend.keep_weights(true, version);
    auto y = product(backend, weights);
    backend.keep_weights(false);
    return y;
  };
  const auto values = w.view();
  const WeightsVersion first{next_weights_version(), values.data, values.data + values.size()},
      second{next_weights_version(), first.begin, first.end};
  auto before = product(fresh, w), of_other = product(fresh, other);
  auto got = kept(first, w), got_other = kept(first, other);
  require_same_bits<T>("packed", before, got);
  require_same_bits<T>("outside the version's memory", of_other, got_other);
  fresh(ops::Scale<Cpu<T>>{.x = w.view(), .factor = 3.0});
  fresh(ops::Scale<Cpu<T>>{.x = other.view(), .factor = 3.0});
  auto after = product(fresh, w), after_other = product(fresh, other);
  got = kept(first, w);
  if (backend.packed_bytes() > 0) require_same_bits<T>("the same version", before, got);  // oneDNN packs by itself
  got_other = kept(first, other);
  require_same_bits<T>("outside the version's memory, changed", after_other, got_other);
  const auto bytes = backend.packed_bytes();
  got = product(backend, w);
  require_same_bits<T>("not kept", after, got);
  got = kept(second, w);
  require_same_bits<T>("another version", after, got);
  fresh(ops::Scale<Cpu<T>>{.x = w.view(), .factor = 0.5});
  after = product(fresh, w);
  got = kept({}, w);
  require_same_bits<T>("no version", after, got);
  BOOST_TEST(backend.packed_bytes() == bytes);
}

BOOST_AUTO_TEST_CASE(bfloat16_products_are_those_of_rounded_operands) {
  for (const auto [rows, out, in] :
       {std::array{3, 40, 300}, {40, 65, 33}, {1, 1, 1}, {9, 17, 1}, {2, 49, 7}, {8, 3, 255}, {130, 97, 601}}) {
    auto x = Matrix<float>::normal(rows, in, 1, 3), w = Matrix<float>::normal(out, in, 2, 1);
    auto dy = Matrix<float>::normal(rows, out, 3);
    auto x_rounded = rounded(x), w_rounded = rounded(w), dy_rounded = rounded(dy);
    Matrix<float> y(rows, out), dx(rows, in), dw(out, in);
    Cpu<float> backend(2, Precision::BFloat16);
    BOOST_TEST((backend.precision() == Precision::BFloat16));
    backend(ops::Linear<Cpu<float>>{.x = x.view(), .w = w.view(), .y = y.view()});
    backend(ops::LinearInputGradient<Cpu<float>>{.dy = dy.view(), .w = w.view(), .dx = dx.view()});
    backend(ops::Fill<Cpu<float>>{.x = dw.view(), .value = 0.0f});
    backend(ops::LinearWeightGradient<Cpu<float>>{.dy = dy.view(), .x = x.view(), .dw = dw.view()});
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

// With one key a query its probability is 1, so the operands themselves come out.
BOOST_AUTO_TEST_CASE(bfloat16_products_of_attention_too) {
  constexpr int rows = 5, width = 12;
  const std::vector<int> ones(rows, 1);
  const Ragged each{std::span<const int>(ones)};
  auto q = Matrix<float>::normal(rows, width, 1, 3), k = Matrix<float>::normal(rows, width, 2),
       v = Matrix<float>::normal(rows, width, 3, 1), dout = Matrix<float>::normal(rows, width, 4);
  Matrix<float> out(rows, width), log_sum(rows, 1), dq(rows, width), dk(rows, width), dv(rows, width);
  Cpu<float> backend(2, Precision::BFloat16);
  backend(ops::Attention<Cpu<float>>{.q = q.view(),
                                     .k = k.view(),
                                     .v = v.view(),
                                     .queries = each,
                                     .keys = each,
                                     .shape = {},
                                     .out = out.view(),
                                     .log_sum_exp = log_sum.view()});
  backend(ops::AttentionBackward<Cpu<float>>{.dout = dout.view(),
                                             .q = q.view(),
                                             .k = k.view(),
                                             .v = v.view(),
                                             .out = out.view(),
                                             .log_sum_exp = log_sum.view(),
                                             .queries = each,
                                             .keys = each,
                                             .shape = {},
                                             .dq = dq.view(),
                                             .dk = dk.view(),
                                             .dv = dv.view()});
  const auto q_rounded = rounded(q), k_rounded = rounded(k), v_rounded = rounded(v), dout_rounded = rounded(dout);
  Sums scores(rows, 1);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < width; ++c) {
      scores.add(r, 0, double(q_rounded(r, c)) * double(k_rounded(r, c)));
      BOOST_TEST(out(r, c) == v_rounded(r, c));
      BOOST_TEST(dv(r, c) == dout_rounded(r, c));
    }
  require_sums("scores", log_sum, scores);
}

BOOST_AUTO_TEST_CASE(bfloat16_products_keep_what_is_not_finite) {
  Matrix<float> x(1, 3), w(3, 3), y(1, 3);
  const float values[] = {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1.0f};
  for (int c = 0; c < 3; ++c) {
    x(0, c) = 1.0f;
    for (int i = 0; i < 3; ++i) w(c, i) = i == c ? values[c] : 0.0f;
  }
  Cpu<float> backend(1, Precision::BFloat16);
  backend(ops::Linear<Cpu<float>>{.x = x.view(), .w = w.view(), .y = y.view()});
  BOOST_TEST(y(0, 0) == values[0]);
  BOOST_TEST(std::isnan(y(0, 1)));
  BOOST_TEST(y(0, 2) == 1.0f);
}

BOOST_AUTO_TEST_CASE(bfloat16_needs_float) { BOOST_CHECK_THROW(Cpu<double>(1, Precision::BFloat16), ConfigError); }

BOOST_AUTO_TEST_SUITE_END()
