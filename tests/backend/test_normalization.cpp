// LayerNorm, RMSNorm and their gradients on the CPU against plain loops in double and against finite differences.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_normalization
#include <boost/test/unit_test.hpp>

#include "backend/backends.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

constexpr double epsilon = 1e-5;

/// Everything that a LayerNorm reads and writes.
template <class T>
struct Case {
  Case(int rows, int cols)
      : x(Matrix<T>::normal(rows, cols, 1, 3)),
        gain(Matrix<T>::normal(1, cols, 2)),
        bias(Matrix<T>::normal(1, cols, 3)),
        dy(Matrix<T>::normal(rows, cols, 4, 1)),
        y(rows, cols, 2),
        dx(Matrix<T>::normal(rows, cols, 5, 4)),
        stats(rows, 2),
        dgain(Matrix<Computed<T>>::normal(1, cols, 6)),
        dbias(Matrix<Computed<T>>::normal(1, cols, 7)) {
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < cols; ++c) x(r, c) = T(2 * double(x(r, c)) + r % 5);
  }
  void forward(auto& backend, bool relu) {
    backend(ops::LayerNormOf<T>{.x = x.view(),
                                .gain = gain.view(),
                                .bias = bias.view(),
                                .epsilon = epsilon,
                                .relu = relu,
                                .y = y.view(),
                                .stats = stats.view()});
  }
  void backward(auto& backend, bool relu, bool accumulate) {
    backend(ops::LayerNormBackwardOf<T>{.dy = dy.view(),
                                        .x = x.view(),
                                        .y = y.view(),
                                        .gain = gain.view(),
                                        .stats = stats.view(),
                                        .relu = relu,
                                        .into = accumulate ? Into::Add : Into::Write,
                                        .dx = dx.view(),
                                        .dgain = dgain.view(),
                                        .dbias = dbias.view()});
  }
  Matrix<T> x, gain, bias, dy, y, dx;
  Matrix<Computed<T>> stats, dgain, dbias;
};

struct Moments {
  double mean = 0, rstd = 0;
};

template <class T>
Moments moments(const Matrix<T>& x, int row) {
  Moments result;
  for (int c = 0; c < x.cols(); ++c) result.mean += double(x(row, c)) / x.cols();
  double variance = 0;
  for (int c = 0; c < x.cols(); ++c) variance += std::pow(double(x(row, c)) - result.mean, 2) / x.cols();
  result.rstd = 1 / std::sqrt(variance + epsilon);
  return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(layer_norm)

BOOST_AUTO_TEST_CASE_TEMPLATE(forward_equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  // The mean of n numbers of size about 6 carries a few ε of that size, and rstd multiplies it.
  constexpr double roundings = 16;
  for (const bool relu : {false, true}) {
    for (const auto [rows, cols] : shapes) {
      Case<T> k(rows, cols);
      require_same_with_any_threads<B>("layer_norm", [&](B& backend) {
        k.forward(backend, relu);
        return k.y;
      });
      std::vector<Moments> m;
      for (int r = 0; r < rows; ++r) m.push_back(moments(k.x, r));
      require_close<T>(
          "layer_norm", k.y, roundings,
          [&](int r, int c) {
            const auto [mean, rstd] = m[static_cast<std::size_t>(r)];
            const double y = (double(k.x(r, c)) - mean) * rstd * double(k.gain(0, c)) + double(k.bias(0, c));
            return relu && y < 0 ? 0 : y;
          },
          [&](int r, int c) {
            const auto [mean, rstd] = m[static_cast<std::size_t>(r)];
            return (std::abs(double(k.x(r, c))) + std::abs(mean) + 1 / rstd) * rstd * std::abs(double(k.gain(0, c))) +
                   std::abs(double(k.bias(0, c)));
          });
      for (int r = 0; r < rows; ++r) {
        const auto [mean, rstd] = m[static_cast<std::size_t>(r)];
        BOOST_TEST(close(k.stats(r, 0), mean, 10, roundings));
        BOOST_TEST(close(k.stats(r, 1), rstd, rstd, roundings));
      }
      B backend(1);
      auto in_place = k.x;
      backend(ops::LayerNorm<B>{.x = in_place.view(),
                                .gain = k.gain.view(),
                                .bias = k.bias.view(),
                                .epsilon = epsilon,
                                .relu = relu,
                                .y = in_place.view(),
                                .stats = k.stats.view()});
      require_same_bits<T>("layer_norm in place", in_place, k.y);
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(backward_equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  constexpr double roundings = 32;
  for (const bool relu : {false, true}) {
    for (const bool accumulate : {false, true}) {
      for (const auto [rows, cols] : shapes) {
        if (cols == 1) continue;  // x̂ is 0 / sqrt(epsilon): see one_column
        B one(1), seven(7);
        Case<T> before(rows, cols);
        before.forward(one, relu);
        auto k = before, with_seven = before;
        k.backward(one, relu, accumulate);
        with_seven.backward(seven, relu, accumulate);
        require_same_bits<T>("dx with 7 threads", k.dx, with_seven.dx);
        require_same_bits("dgain with 7 threads", k.dgain, with_seven.dgain);
        require_same_bits("dbias with 7 threads", k.dbias, with_seven.dbias);

        Matrix<double> dx(rows, cols), size(rows, cols), dgain(1, cols), gain_size(1, cols), dbias(1, cols),
            bias_size(1, cols);
        for (int c = 0; c < cols; ++c) {
          dgain(0, c) = double(before.dgain(0, c));
          dbias(0, c) = double(before.dbias(0, c));
          gain_size(0, c) = std::abs(dgain(0, c));
          bias_size(0, c) = std::abs(dbias(0, c));
        }
        for (int r = 0; r < rows; ++r) {
          const auto [mean, rstd] = moments(k.x, r);
          double g_mean = 0, gx_mean = 0, g_size = 0;
          const auto slope = [&](int c) { return relu && !(k.y(r, c) > T(0)) ? 0.0 : double(k.dy(r, c)); };
          const auto normal = [&, mean = mean, rstd = rstd](int c) { return (double(k.x(r, c)) - mean) * rstd; };
          for (int c = 0; c < cols; ++c) {
            const double g = slope(c) * double(k.gain(0, c));
            g_mean += g / cols;
            gx_mean += g * normal(c) / cols;
            g_size += std::abs(g) * (1 + std::abs(normal(c))) / cols;
            dgain(0, c) += slope(c) * normal(c);
            dbias(0, c) += slope(c);
            gain_size(0, c) += std::abs(slope(c)) * (std::abs(normal(c)) + (std::abs(double(k.x(r, c))) + 10) * rstd);
            bias_size(0, c) += std::abs(slope(c));
          }
          for (int c = 0; c < cols; ++c) {
            const double old = accumulate ? double(before.dx(r, c)) : 0.0, g = slope(c) * double(k.gain(0, c));
            dx(r, c) = old + rstd * (g - g_mean - normal(c) * gx_mean);
            size(r, c) = std::abs(old) + rstd * (std::abs(g) + g_size * (1 + std::abs(normal(c))) * (1 + 10 * rstd));
          }
        }
        require_close<T>("dx", k.dx, roundings, dx, size);
        require_close("dgain", k.dgain, roundings, dgain, gain_size);
        require_close("dbias", k.dbias, roundings, dbias, bias_size);

        if (accumulate) continue;
        auto in_place = before;
        one(ops::LayerNormBackward<B>{.dy = in_place.dy.view(),
                                      .x = in_place.x.view(),
                                      .y = in_place.y.view(),
                                      .gain = in_place.gain.view(),
                                      .stats = in_place.stats.view(),
                                      .relu = relu,
                                      .dx = in_place.dy.view(),
                                      .dgain = in_place.dgain.view(),
                                      .dbias = in_place.dbias.view()});
        require_same_bits<T>("dx over dy", in_place.dy, k.dx);
        require_same_bits("dgain with dx over dy", in_place.dgain, k.dgain);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_column, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  Case<T> k(5, 1);
  k.forward(backend, false);
  k.backward(backend, false, false);
  for (int r = 0; r < 5; ++r) {
    BOOST_TEST(k.y(r, 0) == k.bias(0, 0));
    // dy · gain minus its own mean: a fused multiply-add leaves the rounding of the product.
    const double size = double(k.stats(r, 1)) * std::abs(double(k.dy(r, 0)) * double(k.gain(0, 0)));
    BOOST_TEST(close(k.dx(r, 0), 0, size, 1));
  }
}

// A bias of zeros adds nothing, and no gradient depends on it.
BOOST_AUTO_TEST_CASE_TEMPLATE(without_a_bias, B, Backends) {
  using T = typename B::Scalar;
  for (const bool relu : {false, true}) {
    for (const auto [rows, cols] : shapes) {
      B backend(1);
      Case<T> zero(rows, cols);
      zero.bias = Matrix<T>(1, cols);
      auto none = zero;
      zero.forward(backend, relu);
      backend(ops::LayerNormOf<T>{.x = none.x.view(),
                                  .gain = none.gain.view(),
                                  .epsilon = epsilon,
                                  .relu = relu,
                                  .y = none.y.view(),
                                  .stats = none.stats.view()});
      require_same_bits<T>("y without a bias", none.y, zero.y);
      zero.backward(backend, relu, true);
      backend(ops::LayerNormBackwardOf<T>{.dy = none.dy.view(),
                                          .x = none.x.view(),
                                          .y = none.y.view(),
                                          .gain = none.gain.view(),
                                          .stats = none.stats.view(),
                                          .relu = relu,
                                          .into = Into::Add,
                                          .dx = none.dx.view(),
                                          .dgain = none.dgain.view()});
      require_same_bits<T>("dx without a bias", none.dx, zero.dx);
      require_same_bits("dgain without a bias", none.dgain, zero.dgain);
    }
  }
}

BOOST_AUTO_TEST_CASE(backward_is_the_derivative) {
  constexpr double h = 1e-6, bound = 1e-7;
  for (const bool relu : {false, true}) {
    Cpu<double> backend(1);
    Case<double> k(3, 21);
    k.forward(backend, relu);
    backend(ops::Fill<Cpu<double>>{.x = k.dgain.view(), .value = 0.0});
    backend(ops::Fill<Cpu<double>>{.x = k.dbias.view(), .value = 0.0});
    k.backward(backend, relu, false);
    const auto numeric = [&](double& parameter) {
      const double kept = parameter;
      const auto loss = [&](double value) {
        parameter = value;
        k.forward(backend, relu);
        double sum = 0;
        for (int r = 0; r < 3; ++r)
          for (int c = 0; c < 21; ++c) sum += k.y(r, c) * k.dy(r, c);
        return sum;
      };
      const double slope = (loss(kept + h) - loss(kept - h)) / (2 * h);
      parameter = kept;
      return slope;
    };
    for (int c = 0; c < 21; ++c) {
      for (int r = 0; r < 3; ++r) BOOST_TEST_REQUIRE(std::abs(numeric(k.x(r, c)) - k.dx(r, c)) < bound);
      BOOST_TEST_REQUIRE(std::abs(numeric(k.gain(0, c)) - k.dgain(0, c)) < bound);
      BOOST_TEST_REQUIRE(std::abs(numeric(k.bias(0, c)) - k.dbias(0, c)) < bound);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(rms_norm)

namespace {

template <class T>
double inverse_rms(const Matrix<T>& x, int row) {
  double squares = 0;
  for (int c = 0; c < x.cols(); ++c) squares += double(x(row, c)) * double(x(row, c)) / x.cols();
  return 1 / std::sqrt(squares + epsilon);
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(forward_equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  constexpr double roundings = 16;
  for (const bool relu : {false, true}) {
    for (const auto [rows, cols] : shapes) {
      Case<T> k(rows, cols);
      Matrix<typename B::Real> stats(rows, 1);
      require_same_with_any_threads<B>("rms_norm", [&](B& backend) {
        backend(ops::RmsNorm<B>{.x = k.x.view(),
                                .gain = k.gain.view(),
                                .epsilon = epsilon,
                                .relu = relu,
                                .y = k.y.view(),
                                .stats = stats.view()});
        return k.y;
      });
      const auto want = [&](int r, int c) { return double(k.x(r, c)) * inverse_rms(k.x, r) * double(k.gain(0, c)); };
      require_close<T>(
          "rms_norm", k.y, roundings, [&](int r, int c) { return relu ? std::max(0.0, want(r, c)) : want(r, c); },
          [&](int r, int c) { return std::abs(want(r, c)); });
      for (int r = 0; r < rows; ++r)
        BOOST_TEST(close(stats(r, 0), inverse_rms(k.x, r), inverse_rms(k.x, r), roundings));
      B backend(1);
      auto in_place = k.x;
      backend(ops::RmsNorm<B>{.x = in_place.view(),
                              .gain = k.gain.view(),
                              .epsilon = epsilon,
                              .relu = relu,
                              .y = in_place.view(),
                              .stats = stats.view()});
      require_same_bits<T>("rms_norm in place", in_place, k.y);
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(backward_equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  constexpr double roundings = 32;
  for (const bool relu : {false, true}) {
    for (const bool accumulate : {false, true}) {
      for (const auto [rows, cols] : shapes) {
        B one(1), seven(7);
        Case<T> before(rows, cols);
        Matrix<typename B::Real> stats(rows, 1);
        one(ops::RmsNorm<B>{.x = before.x.view(),
                            .gain = before.gain.view(),
                            .epsilon = epsilon,
                            .relu = relu,
                            .y = before.y.view(),
                            .stats = stats.view()});
        auto k = before, with_seven = before;
        const auto backward = [&](B& backend, Case<T>& on, RowsOf<T> dx, bool add) {
          backend(ops::RmsNormBackward<B>{.dy = on.dy.view(),
                                          .x = on.x.view(),
                                          .y = on.y.view(),
                                          .gain = on.gain.view(),
                                          .stats = stats.view(),
                                          .relu = relu,
                                          .into = add ? Into::Add : Into::Write,
                                          .dx = dx,
                                          .dgain = on.dgain.view()});
        };
        backward(one, k, k.dx.view(), accumulate);
        backward(seven, with_seven, with_seven.dx.view(), accumulate);
        require_same_bits<T>("dx with 7 threads", k.dx, with_seven.dx);
        require_same_bits("dgain with 7 threads", k.dgain, with_seven.dgain);
        require_same_bits("dbias, which is not there,", k.dbias, before.dbias);

        Matrix<double> dx(rows, cols), size(rows, cols), dgain(1, cols), gain_size(1, cols);
        for (int c = 0; c < cols; ++c) {
          dgain(0, c) = double(before.dgain(0, c));
          gain_size(0, c) = std::abs(dgain(0, c));
        }
        for (int r = 0; r < rows; ++r) {
          const double rstd = inverse_rms(k.x, r);
          const auto slope = [&](int c) { return relu && !(k.y(r, c) > T(0)) ? 0.0 : double(k.dy(r, c)); };
          const auto normal = [&](int c) { return double(k.x(r, c)) * rstd; };
          double along = 0, along_size = 0;
          for (int c = 0; c < cols; ++c) {
            const double term = slope(c) * double(k.gain(0, c)) * normal(c) / cols;
            along += term;
            along_size += std::abs(term);
            dgain(0, c) += slope(c) * normal(c);
            gain_size(0, c) += std::abs(slope(c) * normal(c));
          }
          for (int c = 0; c < cols; ++c) {
            const double old = accumulate ? double(before.dx(r, c)) : 0.0, g = slope(c) * double(k.gain(0, c));
            dx(r, c) = old + rstd * (g - normal(c) * along);
            size(r, c) = std::abs(old) + rstd * (std::abs(g) + std::abs(normal(c)) * along_size);
          }
        }
        require_close<T>("dx", k.dx, roundings, dx, size);
        require_close("dgain", k.dgain, roundings, dgain, gain_size);

        if (accumulate) continue;
        auto in_place = before;
        backward(one, in_place, in_place.dy.view(), false);
        require_same_bits<T>("dx over dy", in_place.dy, k.dx);
        require_same_bits("dgain with dx over dy", in_place.dgain, k.dgain);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
