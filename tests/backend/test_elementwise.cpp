// Element-wise operations of the CPU backend against plain loops in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_elementwise
#include <array>
#include <boost/test/unit_test.hpp>
#include <numbers>

#include "backend/backends.hpp"
#include "neural_attention/backend/cpu/activations.hpp"
#include "neural_attention/backend/cpu/dropout_words.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

constexpr std::array activations = {Activation::Identity, Activation::Relu, Activation::Gelu,
                                    Activation::GeluTanh, Activation::Silu, Activation::Mish};
// A handful of roundings and an exp or erf of a few ulp.
constexpr double few_roundings = 16;
constexpr double one_rounding = 1;

/// The gate of GPT-2's GELU, (1 + tanh(u)) / 2, and 2u'.
double tanh_gate(double x) {
  return 0.5 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}
double tanh_gate_slope(double x) { return 2 * std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x); }

double reference(Activation f, double x) {
  switch (f) {
    case Activation::Identity:
      return x;
    case Activation::Relu:
      return x > 0 ? x : 0;
    case Activation::Gelu:
      return x * 0.5 * std::erfc(-x * std::numbers::sqrt2 / 2);
    case Activation::GeluTanh:
      return x * tanh_gate(x);
    case Activation::Silu:
      return x / (1 + std::exp(-x));
    case Activation::Mish:
      return x * std::tanh(std::log1p(std::exp(x)));
  }
  return 0;
}

double reference_slope(Activation f, double x) {
  switch (f) {
    case Activation::Identity:
      return 1;
    case Activation::Relu:
      return x > 0 ? 1 : 0;
    case Activation::Gelu:
      return 0.5 * std::erfc(-x * std::numbers::sqrt2 / 2) + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    case Activation::GeluTanh: {
      const double s = tanh_gate(x);
      return s + x * s * (1 - s) * tanh_gate_slope(x);
    }
    case Activation::Silu: {
      const double s = 1 / (1 + std::exp(-x));
      return s * (1 + x * (1 - s));
    }
    case Activation::Mish: {
      const double t = std::tanh(std::log1p(std::exp(x)));
      return t + x * (1 - t * t) / (1 + std::exp(-x));
    }
  }
  return 0;
}

bool kept(const DropoutMask& mask, int row, int col) {
  const auto words =
      mask.key.words(static_cast<std::uint32_t>(mask.first_row + row), static_cast<std::uint32_t>(col / 4));
  return unit_interval(words[static_cast<std::size_t>(col % 4)]) >= mask.rate;
}

const DropoutMask mask{.rate = 0.3, .key = {.seed = 0x123456789ABCDEFull, .step = 5, .site = 9}, .first_row = 1000};

}  // namespace

BOOST_AUTO_TEST_SUITE(movement)

BOOST_AUTO_TEST_CASE_TEMPLATE(copies_fills_adds_and_scales, B, Backends) {
  using T = typename B::Scalar;
  for (const auto [rows, cols] : shapes) {
    for (const int gap : {0, 5}) {
      B backend(2);
      const auto size = [](double a) { return [a](int, int) { return a; }; };
      auto x = Matrix<T>::normal(rows, cols, 1, gap);
      const auto y0 = Matrix<T>::normal(rows, cols, 2, 2 * gap);
      auto y = y0;
      backend(ops::Copy<B>{.x = x.view(), .y = y.view()});
      require_close<T>(
          "copy", y, 0, [&](int r, int c) { return double(x(r, c)); }, size(1));
      y = y0;
      backend(ops::Add<B>{.x = x.view(), .y = y.view()});
      require_close<T>(
          "add", y, one_rounding, [&](int r, int c) { return double(x(r, c)) + double(y0(r, c)); }, size(10));
      y = y0;
      backend(ops::Scale<B>{.x = y.view(), .factor = -1.7});
      require_close<T>(
          "scale", y, 2 * one_rounding, [&](int r, int c) { return -1.7 * double(y0(r, c)); }, size(10));
      backend(ops::Fill<B>{.x = y.view(), .value = T(3)});
      require_close<T>("fill", y, 0, size(3), size(1));
    }
  }
}

// Numbers of Real, where those of Scalar are rounded: on the other backends the same operations again.
BOOST_AUTO_TEST_CASE_TEMPLATE(moves_parameters, B, Backends) {
  using Real = typename B::Real;
  B backend(2);
  for (const auto [rows, cols] : shapes) {
    const auto x0 = Matrix<Real>::normal(rows, cols, 1, 3);
    auto x = x0;
    std::vector<Real> host(static_cast<std::size_t>(rows) * cols);
    backend(ops::DownloadOf<Real>{.x = x.view(), .values = host});
    Matrix<Real> y(rows, cols, 2), z(rows, cols, 1);
    backend(ops::UploadOf<Real>{.values = host, .x = y.view()});
    require_same_bits("upload of Real", x, y);
    backend(ops::CopyOf<Real>{.x = y.view(), .y = z.view()});
    require_same_bits("copy of Real", x, z);
    backend(ops::ScaleOf<Real>{.x = x.view(), .factor = -1.7});
    require_close(
        "scale of Real", x, 2 * one_rounding, [&](int r, int c) { return -1.7 * double(x0(r, c)); },
        [](int, int) { return 10.0; });
    backend(ops::FillOf<Real>{.x = z.view(), .value = Real(3)});
    require_close(
        "fill of Real", z, 0, [](int, int) { return 3.0; }, [](int, int) { return 1.0; });
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(converts_parameters, B, Backends) {
  using T = typename B::Scalar;
  B backend(2);
  for (const auto [rows, cols] : shapes)
    for (const int gap : {0, 5}) {
      auto x = Matrix<typename B::Real>::normal(rows, cols, 1, gap);
      Matrix<T> y(rows, cols, 2 * gap);
      backend(ops::Convert<B>{.x = x.view(), .y = y.view()});
      require_close<T>(
          "convert", y, 0, [&](int r, int c) { return double(T(x(r, c))); }, [](int, int) { return 1.0; });
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(copies_between_overlapping_places, B, Backends) {
  using T = typename B::Scalar;
  B backend(2);
  for (const int shift : {-1, 3}) {  // rows
    auto x = Matrix<T>::normal(400, 100, 1);
    const auto before = x;
    const auto all = x.view();
    backend(ops::Copy<B>{.x = all.slice(10, 300), .y = all.slice(10 + shift, 300)});
    require_close<T>(
        "copy over itself", x, 0,
        [&](int r, int c) {
          const bool moved = r >= 10 + shift && r < 310 + shift;
          return double(before(moved ? r - shift : r, c));
        },
        [](int, int) { return 1.0; });
  }
}

// Pairs of all shapes in one call: with one more column than goes into vectors some of them, and one pair of no rows.
BOOST_AUTO_TEST_CASE_TEMPLATE(copies_many_pairs, B, Backends) {
  using T = typename B::Scalar;
  for (const int threads : {1, 2}) {
    B backend(threads);
    for (const int gap : {0, 5}) {
      for (const int more : {0, 1}) {
        std::vector<Matrix<T>> x, y;
        unsigned stream = 0;
        for (const int rows : {1, 40, 3, 1})
          for (const int cols : {8 + more, 64 + more, 256 + more}) {
            x.push_back(Matrix<T>::normal(rows, cols, ++stream, gap));
            y.push_back(Matrix<T>::normal(rows, cols, ++stream, 2 * gap));
          }
        const auto untouched = y[1];
        std::vector<RowsOf<T>> from, to;
        for (std::size_t i = 0; i < x.size(); ++i) {
          from.push_back(x[i].view());
          to.push_back(y[i].view());
        }
        from[1] = from[1].slice(0, 0);
        to[1] = to[1].slice(0, 0);
        backend(ops::CopyPairs<B>{.x = from, .y = to});
        for (std::size_t i = 0; i < x.size(); ++i) {
          auto want = i == 1 ? untouched : x[i];
          require_same_bits("copy of pair " + std::to_string(i), y[i], want);
          BOOST_TEST(y[i].guards_hold());
        }
      }
    }
    backend(ops::CopyPairs<B>{});
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(uploads_downloads_and_gathers, B, Backends) {
  using T = typename B::Scalar;
  B backend(2);
  for (const auto [rows, cols] : shapes) {
    auto x = Matrix<T>::normal(rows, cols, 1, 3);
    std::vector<T> host(static_cast<std::size_t>(rows) * cols);
    backend(ops::Download<B>{.x = x.view(), .values = host});
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < cols; ++c) BOOST_TEST_REQUIRE(host[static_cast<std::size_t>(r) * cols + c] == x(r, c));
    Matrix<T> y(rows, cols, 7);
    backend(ops::Upload<B>{.values = host, .x = y.view()});
    require_same_bits<T>("upload", x, y);
    BOOST_TEST(y.guards_hold());

    std::vector<int> chosen;
    for (int i = 0; i < 2 * rows + 1; ++i) chosen.push_back(i * 5 % rows);
    Matrix<T> picked(2 * rows + 1, cols, 1);
    backend(ops::Gather<B>{.x = x.view(), .rows = chosen, .y = picked.view()});
    require_close<T>(
        "gather", picked, 0, [&](int r, int c) { return double(x(chosen[static_cast<std::size_t>(r)], c)); },
        [](int, int) { return 1.0; });
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(adds_to_scattered_rows, B, Backends) {
  using T = typename B::Scalar;
  for (const int threads : {1, 2}) {
    B backend(threads);
    for (const auto [rows, cols] : shapes) {
      auto x = Matrix<T>::normal(rows, cols, 1, 3);
      const auto before = Matrix<T>::normal(3 * rows, cols, 2, 5);
      auto y = before;
      std::vector<int> places;
      for (int i = 0; i < rows; ++i) places.push_back(3 * i + i % 3);
      backend(ops::ScatterAdd<B>{.x = x.view(), .rows = places, .y = y.view()});
      const auto added = [&](int r, int c) { return r % 3 == r / 3 % 3 ? double(x(r / 3, c)) : 0.0; };
      require_close<T>(
          "scatter_add", y, 1, [&](int r, int c) { return double(before(r, c)) + added(r, c); },
          [&](int r, int c) { return std::abs(double(before(r, c))) + std::abs(added(r, c)); });
      BOOST_TEST(y.guards_hold());
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(accepts_nothing, B, Backends) {
  using T = typename B::Scalar;
  B backend(2);
  T none{};
  const RowsOf<T> empty(&none, 0, 5);
  backend(ops::Copy<B>{.x = empty, .y = empty});
  backend(ops::Fill<B>{.x = empty, .value = T(1)});
  backend(ops::Add<B>{.x = empty, .y = empty});
  backend(ops::Dropout<B>{.x = empty, .mask = mask, .y = empty});
  backend(ops::Activate<B>{.f = Activation::Gelu, .x = empty, .y = empty});
  BOOST_TEST(none == T(0));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(multiply)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  B backend(2);
  for (const auto [rows, cols] : shapes)
    for (const int gap : {0, 3}) {
      auto a = Matrix<T>::normal(rows, cols, 1, gap), b = Matrix<T>::normal(rows, cols, 2);
      Matrix<T> y(rows, cols, 2 * gap);
      backend(ops::Multiply<B>{.a = a.view(), .b = b.view(), .y = y.view()});
      require_close<T>(
          "multiply", y, one_rounding, [&](int r, int c) { return double(a(r, c)) * double(b(r, c)); },
          [&](int r, int c) { return std::abs(double(y(r, c))); });
      auto over_a = a, over_b = b;
      backend(ops::Multiply<B>{.a = over_a.view(), .b = b.view(), .y = over_a.view()});
      backend(ops::Multiply<B>{.a = a.view(), .b = over_b.view(), .y = over_b.view()});
      require_same_bits<T>("multiply over a", over_a, y);
      require_same_bits<T>("multiply over b", over_b, y);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(gradients_equal_the_formula, B, Backends) {
  using T = typename B::Scalar;
  B backend(2);
  for (const auto [rows, cols] : shapes)
    for (const auto into : {Into::Write, Into::Add}) {
      auto dy = Matrix<T>::normal(rows, cols, 1, 1), a = Matrix<T>::normal(rows, cols, 2, 3),
           b = Matrix<T>::normal(rows, cols, 3);
      const auto old_a = Matrix<T>::normal(rows, cols, 4, 2), old_b = Matrix<T>::normal(rows, cols, 5);
      auto da = old_a, db = old_b;
      const auto run = [&](RowsOf<T> gradient, RowsOf<T> to_a, RowsOf<T> to_b) {
        backend(ops::MultiplyBackward<B>{
            .dy = gradient, .a = a.view(), .b = b.view(), .into = into, .da = to_a, .db = to_b});
      };
      run(dy.view(), da.view(), db.view());
      const auto check = [&](const char* name, const Matrix<T>& got, const Matrix<T>& old, const Matrix<T>& factor) {
        const auto before = [&](int r, int c) { return into == Into::Add ? double(old(r, c)) : 0.0; };
        const auto product = [&](int r, int c) { return double(dy(r, c)) * double(factor(r, c)); };
        require_close<T>(
            name, got, 2 * one_rounding, [&](int r, int c) { return before(r, c) + product(r, c); },
            [&](int r, int c) { return std::abs(before(r, c)) + std::abs(product(r, c)); });
      };
      check("da", da, old_a, b);
      check("db", db, old_b, a);
      if (into == Into::Add) continue;
      auto in_place = dy, other = old_b;
      run(in_place.view(), in_place.view(), other.view());
      require_same_bits<T>("da in the place of dy", in_place, da);
      require_same_bits<T>("db beside it", other, db);
    }
  require_same_with_any_threads<B>("multiply", [&](B& any) {
    auto a = Matrix<T>::normal(97, 777, 1), b = Matrix<T>::normal(97, 777, 2);
    any(ops::Multiply<B>{.a = a.view(), .b = b.view(), .y = a.view()});
    return a;
  });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(activation)

BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  for (const auto f : activations) {
    for (const auto [rows, cols] : shapes) {
      B backend(2);
      auto x = Matrix<T>::normal(rows, cols, 1, 3);
      backend(ops::Scale<B>{.x = x.view(), .factor = 3});  // tails as well
      auto dy = Matrix<T>::normal(rows, cols, 2, 1);
      Matrix<T> y(rows, cols, 2), dx(rows, cols);
      backend(ops::Activate<B>{.f = f, .x = x.view(), .y = y.view()});
      require_close<T>(
          "activation", y, few_roundings, [&](int r, int c) { return reference(f, double(x(r, c))); },
          [&](int r, int c) { return std::abs(double(x(r, c))); });
      backend(ops::ActivateBackward<B>{.f = f, .x = x.view(), .dy = dy.view(), .dx = dx.view()});
      require_close<T>(
          "activation_backward", dx, few_roundings,
          [&](int r, int c) { return double(dy(r, c)) * reference_slope(f, double(x(r, c))); },
          [&](int r, int c) { return std::abs(double(dy(r, c))) * (1 + std::abs(double(x(r, c)))); });

      auto in_place = x;
      backend(ops::Activate<B>{.f = f, .x = in_place.view(), .y = in_place.view()});
      require_same_bits<T>("activation in place", in_place, y);
      auto gradient_in_place = dy;
      backend(ops::ActivateBackward<B>{
          .f = f, .x = x.view(), .dy = gradient_in_place.view(), .dx = gradient_in_place.view()});
      require_same_bits<T>("activation_backward in place", gradient_in_place, dx);
      if (f == Activation::Relu) {  // the output serves as well as the input
        Matrix<T> from_output(rows, cols);
        backend(ops::ActivateBackward<B>{.f = f, .x = y.view(), .dy = dy.view(), .dx = from_output.view()});
        require_same_bits<T>("relu backward from the output", from_output, dx);
      }
    }
    require_same_with_any_threads<B>("activation", [&](B& backend) {
      auto x = Matrix<T>::normal(97, 777, 1);
      backend(ops::Activate<B>{.f = f, .x = x.view(), .y = x.view()});
      return x;
    });
  }
}

BOOST_AUTO_TEST_CASE(slope_is_the_derivative) {
  constexpr double h = 1e-5, truncation = 1e-9;
  Cpu<double> backend(1);
  for (const auto f : activations) {
    auto x = Matrix<double>::normal(1, 101, 3), up = x, down = x;
    Matrix<double> one(1, 101), dx(1, 101);
    backend(ops::Fill<Cpu<double>>{.x = one.view(), .value = 1.0});
    for (int c = 0; c < 101; ++c) up(0, c) += h, down(0, c) -= h;
    backend(ops::ActivateBackward<Cpu<double>>{.f = f, .x = x.view(), .dy = one.view(), .dx = dx.view()});
    backend(ops::Activate<Cpu<double>>{.f = f, .x = up.view(), .y = up.view()});
    backend(ops::Activate<Cpu<double>>{.f = f, .x = down.view(), .y = down.view()});
    for (int c = 0; c < 101; ++c)
      BOOST_TEST_REQUIRE(std::abs((up(0, c) - down(0, c)) / (2 * h) - dx(0, c)) < truncation);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(extremes_stay_finite_and_nan_stays, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  for (const auto f : activations) {
    Matrix<T> x(1, 21), dy(1, 21), dx(1, 21);
    backend(ops::Fill<B>{.x = dy.view(), .value = T(1)});
    for (int c = 0; c < 20; ++c) x(0, c) = static_cast<T>((c % 2 ? 1 : -1) * std::pow(10.0, c / 2));
    x(0, 20) = std::numeric_limits<T>::quiet_NaN();
    Matrix<T> y(1, 21);
    backend(ops::Activate<B>{.f = f, .x = x.view(), .y = y.view()});
    backend(ops::ActivateBackward<B>{.f = f, .x = x.view(), .dy = dy.view(), .dx = dx.view()});
    for (int c = 0; c < 20; ++c) {
      BOOST_TEST_REQUIRE(close(y(0, c), reference(f, double(x(0, c))), std::abs(double(x(0, c))), few_roundings));
      BOOST_TEST_REQUIRE(std::isfinite(double(dx(0, c))));
    }
    BOOST_TEST(std::isnan(double(y(0, 20))));
    auto block = Matrix<T>::normal(1, 16, 1);  // a whole block takes another path than a tail
    block(0, 3) = std::numeric_limits<T>::quiet_NaN();
    backend(ops::Activate<B>{.f = f, .x = block.view(), .y = block.view()});
    BOOST_TEST(std::isnan(double(block(0, 3))));
  }
}

BOOST_AUTO_TEST_CASE(erf_of_float_is_as_exact_as_promised) {
  constexpr double promised = 4e-7;
  double worst = 0;
  for (int i = 0; i < 64000; ++i) {
    cpu_blocks::Block<float> x;
    for (int j = 0; j < 16; ++j) x[j] = static_cast<float>(i * 16 + j - 512000) * 1e-5f;
    const auto y = cpu_elementwise::erf<float>(x);
    for (int j = 0; j < 16; ++j) worst = std::max(worst, std::abs(double(y[j]) - std::erf(double(x[j]))));
  }
  BOOST_TEST(worst < promised);
  BOOST_TEST(worst > 0);
}

// What an error of Φ leaves is multiplied by x.
BOOST_AUTO_TEST_CASE_TEMPLATE(tails_do_not_grow, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  for (const auto f : {Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Mish})
    for (const double size : {6.0, 20.0, 100.0, 1e5, 1e10, 1e30}) {
      if (size > 1e12 && f == Activation::GeluTanh) continue;  // its cube overflows, as in other libraries
      auto x = Matrix<T>::normal(1, 35, 1);                    // whole blocks and a tail
      for (int c = 0; c < 35; ++c) x(0, c) = static_cast<T>(c % 2 == 0 ? size : -size);
      auto y = x, dx = x, ones = x;
      for (int c = 0; c < 35; ++c) ones(0, c) = T(1);
      backend(ops::Activate<B>{.f = f, .x = x.view(), .y = y.view()});
      backend(ops::ActivateBackward<B>{.f = f, .x = x.view(), .dy = ones.view(), .dx = dx.view()});
      for (int c = 0; c < 35; ++c) {
        const double at = double(x(0, c));
        BOOST_TEST_CONTEXT(name_of(f) << " of " << at) {
          BOOST_TEST(close(y(0, c), reference(f, at), std::max(1.0, at), few_roundings));
          BOOST_TEST(close(dx(0, c), reference_slope(f, at), 1.0, few_roundings));
        }
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(dropout)

BOOST_AUTO_TEST_CASE(words_equal_philox) {
  const RandomKey key{.seed = 0xFEDCBA9876543210ull, .step = 77, .site = 3};
  int compared = 0;
  for (const int blocks : {1, 2, 15, 16, 31, 32, 33, 64, 100}) {
    for (const std::uint32_t first : {0u, 7u, 0xFFFFFFF0u}) {  // the last wraps
      std::vector<std::uint32_t> words(4 * static_cast<std::size_t>(blocks) + 1, 42);
      keep_words(key, 123456, first, blocks, words.data());
      for (int i = 0; i < blocks; ++i) {
        const auto want = key.words(123456, first + static_cast<std::uint32_t>(i));
        for (std::size_t j = 0; j < 4; ++j, ++compared)
          BOOST_TEST_REQUIRE(words[4 * static_cast<std::size_t>(i) + j] == want[j]);
      }
      BOOST_TEST(words.back() == 42u);
    }
  }
  BOOST_TEST(compared > 0);
}

BOOST_AUTO_TEST_CASE(threshold_says_what_the_double_says) {
  for (const double rate : {1e-12, 0.1, 0.25, 0.3, 0.5, 0.9, 0.999999}) {
    const auto threshold = keep_threshold(rate);
    BOOST_TEST(unit_interval(threshold) >= rate);
    BOOST_TEST((threshold == 0 || unit_interval(threshold - 1) < rate));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(keeps_what_the_key_says, B, Backends) {
  using T = typename B::Scalar;
  const double factor = 1 / (1 - mask.rate);
  for (const auto [rows, cols] : shapes) {
    B backend(2);
    auto x = Matrix<T>::normal(rows, cols, 1, 3), residual = Matrix<T>::normal(rows, cols, 2, 4);
    Matrix<T> y(rows, cols, 5);
    const auto dropped = [&](int r, int c) { return kept(mask, r, c) ? factor * double(x(r, c)) : 0.0; };
    const auto size = [](int, int) { return 10.0; };
    backend(ops::Dropout<B>{.x = x.view(), .mask = mask, .y = y.view()});
    require_close<T>("dropout", y, 2 * one_rounding, dropped, size);
    auto in_place = x;
    backend(ops::Dropout<B>{.x = in_place.view(), .mask = mask, .y = in_place.view()});
    require_same_bits<T>("dropout in place", in_place, y);

    const auto sum = [&](int r, int c) { return double(residual(r, c)) + dropped(r, c); };
    backend(ops::ResidualDropout<B>{.residual = residual.view(), .x = x.view(), .mask = mask, .y = y.view()});
    require_close<T>("residual_dropout", y, 2 * one_rounding, sum, size);
    auto over_x = x, over_residual = residual;
    backend(ops::ResidualDropout<B>{.residual = residual.view(), .x = over_x.view(), .mask = mask, .y = over_x.view()});
    backend(ops::ResidualDropout<B>{
        .residual = over_residual.view(), .x = x.view(), .mask = mask, .y = over_residual.view()});
    require_same_bits<T>("residual_dropout over x", over_x, y);
    require_same_bits<T>("residual_dropout over the residual", over_residual, y);

    backend(ops::ResidualDropout<B>{.residual = residual.view(), .x = x.view(), .mask = {}, .y = y.view()});
    require_close<T>(
        "residual without dropout", y, one_rounding,
        [&](int r, int c) { return double(residual(r, c)) + double(x(r, c)); }, size);
    backend(ops::Dropout<B>{.x = x.view(), .mask = {}, .y = y.view()});
    require_same_bits<T>("no dropout", x, y);
  }
  require_same_with_any_threads<B>("dropout", [](B& backend) {
    auto x = Matrix<T>::normal(97, 777, 1);
    backend(ops::Dropout<B>{.x = x.view(), .mask = mask, .y = x.view()});
    return x;
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(does_not_depend_on_the_split_into_batches, B, Backends) {
  using T = typename B::Scalar;
  B backend(1);
  auto whole = Matrix<T>::normal(20, 65, 1), parts = whole;
  backend(ops::Dropout<B>{.x = whole.view(), .mask = mask, .y = whole.view()});
  auto later = mask;
  later.first_row += 8;
  backend(ops::Dropout<B>{.x = parts.view().slice(0, 8), .mask = mask, .y = parts.view().slice(0, 8)});
  backend(ops::Dropout<B>{.x = parts.view().slice(8, 12), .mask = later, .y = parts.view().slice(8, 12)});
  require_same_bits<T>("two batches", whole, parts);
}

BOOST_AUTO_TEST_CASE(drops_the_share_that_was_asked_for) {
  Cpu<float> backend(2);
  Matrix<float> x(500, 1000);
  backend(ops::Fill<Cpu<float>>{.x = x.view(), .value = 1.0f});
  backend(ops::Dropout<Cpu<float>>{.x = x.view(), .mask = mask, .y = x.view()});
  int zeros = 0;
  for (int r = 0; r < 500; ++r)
    for (int c = 0; c < 1000; ++c) zeros += x(r, c) == 0.0f;
  constexpr double n = 500'000, six_sigma = 6;
  BOOST_TEST(std::abs(zeros - n * mask.rate) < six_sigma * std::sqrt(n * mask.rate * (1 - mask.rate)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(scale_groups)

// y = x · f by groups of columns, and its gradients, against loops; with factors of each row and of all rows.
BOOST_AUTO_TEST_CASE_TEMPLATE(equals_the_formula, B, Backends) {
  using T = typename B::Scalar;
  struct Groups {
    int rows, groups, width;
  };
  for (const auto& size : {Groups{1, 1, 5}, {7, 3, 1}, {5, 4, 16}, {9, 2, 33}, {40, 16, 8}, {33, 160, 1}})
    for (const bool shared : {false, true})
      for (const bool sigmoid : {false, true})
        for (const int gap : {0, 3}) {
          const int rows = size.rows, groups = size.groups, width = size.width, cols = groups * width;
          auto x = Matrix<T>::normal(rows, cols, 1, gap), f = Matrix<T>::normal(shared ? 1 : rows, groups, 2, 2 * gap),
               dy = Matrix<T>::normal(rows, cols, 3, gap);
          const auto factor = [&](int r, int c) {
            const auto value = double(f(shared ? 0 : r, c / width));
            return sigmoid ? 1 / (1 + std::exp(-value)) : value;
          };
          const auto forward = [&](B& backend) {
            Matrix<T> y(rows, cols, gap);
            backend(ops::ScaleGroups<B>{.x = x.view(), .f = f.view(), .sigmoid = sigmoid, .y = y.view()});
            return y;
          };
          Matrix<T> df(rows, groups, gap);
          const auto backward = [&](B& backend) {
            auto dx = dy;  // in place
            backend(ops::ScaleGroupsBackward<B>{
                .dy = dx.view(), .x = x.view(), .f = f.view(), .sigmoid = sigmoid, .dx = dx.view(), .df = df.view()});
            return dx;
          };
          require_same_with_any_threads<B>("scale_groups", forward);
          require_same_with_any_threads<B>("scale_groups_backward", backward);
          B backend(1);
          const auto y = forward(backend), dx = backward(backend);
          const auto product = [&](const Matrix<T>& of) {
            return [&](int r, int c) { return double(of(r, c)) * factor(r, c); };
          };
          const auto sizes = [](const Matrix<T>& of) {
            return [&](int r, int c) { return std::abs(double(of(r, c))); };
          };
          require_close<T>("y", y, few_roundings, product(x), sizes(x));
          require_close<T>("dx", dx, few_roundings, product(dy), sizes(dy));
          Matrix<double> want(rows, groups), terms(rows, groups);
          for (int r = 0; r < rows; ++r)
            for (int c = 0; c < cols; ++c) {
              const double open = factor(r, c), slope = sigmoid ? open * (1 - open) : 1.0;
              want(r, c / width) += slope * double(dy(r, c)) * double(x(r, c));
              terms(r, c / width) += (sigmoid ? 0.25 : 1.0) * std::abs(double(dy(r, c)) * double(x(r, c)));
            }
          require_close<T>("df", df, few_roundings, want, terms);
        }
}

BOOST_AUTO_TEST_SUITE_END()
