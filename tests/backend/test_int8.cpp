// Products of integers of eight bits: every kernel of this unit against plain loops in 64 bits, bit by bit, and linear
// maps and embeddings with such weights.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_int8
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "backend/cpu_support.hpp"
#include "backend/int8_weights.hpp"
#include "neural_attention/backend/cpu/int8_kernels.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

using B = Cpu<float>;

/// How the numbers of a test are made: drawn, or as large as they may be.
enum class Numbers { Drawn, Largest, Smallest, Alternating };

std::int8_t number(Numbers kind, RandomStream& random, int place) {
  switch (kind) {
    case Numbers::Largest:
      return 127;
    case Numbers::Smallest:
      return -127;
    case Numbers::Alternating:
      return place % 2 == 0 ? 127 : -127;
    case Numbers::Drawn:
      break;
  }
  return static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
}

template <class Kernel>
void require_sums(int rows, int outs, int k, Numbers of_x, Numbers of_w) {
  RandomStream random({.seed = 5, .step = static_cast<std::uint32_t>(k), .site = static_cast<std::uint32_t>(outs)});
  Weights w(outs, k);
  for (int r = 0; r < outs; ++r)
    for (int c = 0; c < k; ++c) *w.at(r, c) = number(of_w, random, c);
  w.add_up();
  const auto stride = cpu_int8::padded(k);
  std::vector<std::int8_t> x(static_cast<std::size_t>(rows * k));
  std::vector<std::uint8_t> stored(static_cast<std::size_t>(rows * stride));
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < k; ++c) {
      x[static_cast<std::size_t>(r * k + c)] = number(of_x, random, c);
      stored[static_cast<std::size_t>(r * stride + c)] =
          static_cast<std::uint8_t>(x[static_cast<std::size_t>(r * k + c)] + Kernel::offset);
    }
  constexpr int gap = 3, guard = -77;
  const int first = outs > 2 ? 1 : 0, count = outs - first;
  std::vector<std::int32_t> sums(static_cast<std::size_t>(rows * (count + gap)), guard);
  Kernel::multiply({stored.data(), rows, k}, w.view, first, count, sums.data(), count + gap);
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < count + gap; ++j) {
      std::int64_t want = guard;
      if (j < count) {
        want = 0;
        for (int c = 0; c < k; ++c) want += std::int64_t{x[static_cast<std::size_t>(r * k + c)]} * *w.at(first + j, c);
      }
      const auto got = sums[static_cast<std::size_t>(r * (count + gap) + j)];
      if (got == want) continue;
      BOOST_ERROR(Kernel::name << " " << rows << " x " << outs << " x " << k << " (" << r << ", " << j << "): " << got
                               << " instead of " << want);
      return;
    }
}

/// The kernels that there are, each in a suite of its own, so that ctest shows those that were not tested as skipped.
const std::set<std::string> known = {"plain loops", "AVX2", "AVX-VNNI", "AVX-512 VNNI"};

/// Tests the kernel of this name if the unit has it: a unit is compiled for the processor that it runs on.
void test_kernel(const std::string& name) {
  bool tested = false;
  cpu_int8::for_each_kernel([&]<class Kernel>(Kernel) {
    if (Kernel::name != name) return;
    tested = true;
    for (const int k : {1, 3, 31, 32, 33, 63, 64, 65, 96, 127, 200, 513})
      for (const int outs : {1, 2, 4, 5, 8, 67})
        for (int rows = 1; rows <= 9; ++rows) require_sums<Kernel>(rows, outs, k, Numbers::Drawn, Numbers::Drawn);
    for (const auto of_x : {Numbers::Drawn, Numbers::Largest, Numbers::Smallest, Numbers::Alternating})
      for (const auto of_w : {Numbers::Drawn, Numbers::Largest, Numbers::Smallest, Numbers::Alternating}) {
        require_sums<Kernel>(3, 6, 2000, of_x, of_w);
        require_sums<Kernel>(33, 70, 65, of_x, of_w);
      }
    require_sums<Kernel>(2, 2, int8::most_cols, Numbers::Largest, Numbers::Smallest);
  });
  BOOST_TEST(known.contains(name));
  if (!tested) BOOST_TEST_MESSAGE("SKIPPED: not compiled for a processor with " << name << ", so that it did not run");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(int8_plain_loops)
BOOST_AUTO_TEST_CASE(give_the_integers_of_64_bits) { test_kernel(cpu_int8::Portable::name); }
BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(int8_avx2)
BOOST_AUTO_TEST_CASE(gives_the_integers_of_64_bits) { test_kernel("AVX2"); }
BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(int8_avx_vnni)
BOOST_AUTO_TEST_CASE(gives_the_integers_of_64_bits) { test_kernel("AVX-VNNI"); }
BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(int8_avx512_vnni)
BOOST_AUTO_TEST_CASE(gives_the_integers_of_64_bits) { test_kernel("AVX-512 VNNI"); }
BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(int8_kernels)

BOOST_AUTO_TEST_CASE(are_those_that_have_suites) {
  std::set<std::string> names;
  cpu_int8::for_each_kernel([&]<class Kernel>(Kernel) { names.insert(Kernel::name); });
  BOOST_TEST(names.contains(cpu_int8::Portable::name));
  BOOST_TEST(names.contains(cpu_int8::Kernel::name));
  for (const auto& name : names) BOOST_TEST(known.contains(name), name);
}

BOOST_AUTO_TEST_CASE(rows_are_rounded_to_nearest_with_ties_to_even) {
  const std::vector<float> ties = {0.5f,   1.5f,    2.5f,   -0.5f,   -1.5f, -2.5f,
                                   126.5f, -126.5f, 127.0f, -127.0f, 0.0f,  3.49f};
  for (const int offset : {0, 128})
    for (int k = 1; k <= 150; ++k) {
      std::vector<float> x;
      for (int i = 0; i < k; ++i) x.push_back(ties[static_cast<std::size_t>(i) % ties.size()]);
      std::vector<std::uint8_t> got(static_cast<std::size_t>(cpu_int8::padded(k)) + 1, 99);
      cpu_int8::round_row(x.data(), k, 1.0f, offset, got.data());
      std::vector<std::uint8_t> want(got.size(), 0);
      for (std::size_t i = 0; i < x.size(); ++i)
        want[i] = static_cast<std::uint8_t>(int(std::nearbyint(x[i])) + offset);
      want.back() = 99;
      BOOST_TEST(got == want, boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(a_row_of_weights_is_rounded_to_half_a_step) {
  auto w = Matrix<float>::normal(20, 97, 4);
  for (int c = 0; c < 97; ++c) w(3, c) = 0.0f, w(4, c) = 1e-38f, w(5, c) *= 1e30f, w(6, c) *= 1e-30f;
  const Weights rounded(w);
  for (int r = 0; r < w.rows(); ++r) {
    const double scale = rounded.scales[static_cast<std::size_t>(r)];
    BOOST_TEST(scale > 0.0);
    int largest = 0;
    for (int c = 0; c < w.cols(); ++c) {
      const int integer = rounded.view.row(r)[c];
      largest = std::max(largest, std::abs(integer));
      // Half a step, and two roundings of up to 127 steps.
      BOOST_TEST(std::abs(w(r, c) - scale * integer) <= scale * (0.5 + 127 * 2 * machine_epsilon<float>));
    }
    BOOST_TEST(largest == (r == 3 || r == 4 ? 0 : 127));
  }
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {inf, -inf, std::numeric_limits<float>::quiet_NaN()}) {
    const std::array row = {1.0f, bad, 2.0f};
    std::array<std::int8_t, 3> out = {};
    BOOST_TEST(std::isnan(int8::quantize(row, out.data())));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(int8_operations)

BOOST_AUTO_TEST_CASE(a_linear_map_is_that_of_the_rounded_numbers) {
  for (const auto [rows, outs, k] : {std::array{1, 1, 1}, {1, 67, 512}, {4, 130, 64}, {40, 65, 200}, {9, 300, 33}})
    for (const auto f : {Activation::Identity, Activation::Relu})
      for (const bool with_bias : {false, true}) {
        auto x = Matrix<float>::normal(rows, k, 1, 3), bias = Matrix<float>::normal(1, outs, 3);
        if (rows > 2)
          for (int c = 0; c < k; ++c) x(1, c) = 0.0f;
        const Weights w(Matrix<float>::normal(outs, k, 2));
        Matrix<float> y(rows, outs, 5);
        Matrix<double> want(rows, outs), size(rows, outs);
        for (int r = 0; r < rows; ++r) {
          float most = 0.0f;
          for (int c = 0; c < k; ++c) most = std::max(most, std::abs(x(r, c)));
          for (int j = 0; j < outs; ++j) {
            double sum = 0.0;
            for (int c = 0; c < k; ++c)
              sum += (most > 0.0f ? std::nearbyint(x(r, c) * (127.0f / most)) : 0.0f) * double(w.view.row(j)[c]);
            const double product = sum * most / 127.0 * double(w.scales[static_cast<std::size_t>(j)]);
            want(r, j) = product + (with_bias ? bias(0, j) : 0.0f);
            size(r, j) = std::abs(product) + std::abs(want(r, j));
            if (f == Activation::Relu) want(r, j) = std::max(0.0, want(r, j));
          }
        }
        B backend(2);
        backend(ops::Linear<B>{.x = x.view(),
                               .bias = with_bias ? bias.view() : RowsOf<float>(),
                               .activation = f,
                               .y = y.view(),
                               .quantized = &w.view});
        // The sum as a float, two scales, their product, the product with the sum, and the bias.
        constexpr double roundings = 6;
        require_close<float>(
            "y", y, roundings, [&](int r, int c) { return want(r, c); }, [&](int r, int c) { return size(r, c); });
      }
}

// Without a bias, no processor merges a product with a sum, so the integers show.
BOOST_AUTO_TEST_CASE(a_linear_map_has_the_bits_of_its_integers_whatever_kernel_multiplies) {
  for (const auto [rows, outs, k] : {std::array{1, 67, 512}, {3, 5, 65}, {4, 130, 200}, {33, 65, 31}}) {
    auto x = Matrix<float>::normal(rows, k, 1, 3);
    const Weights w(Matrix<float>::normal(outs, k, 2));
    Matrix<float> y(rows, outs, 5), want(rows, outs);
    for (int r = 0; r < rows; ++r) {
      float most = 0.0f;
      for (int c = 0; c < k; ++c) most = std::max(most, std::abs(x(r, c)));
      const float factor = int8::factor(most), scale = most / static_cast<float>(int8::largest);
      for (int j = 0; j < outs; ++j) {
        std::int32_t sum = 0;
        for (int c = 0; c < k; ++c) sum += static_cast<std::int32_t>(std::lrint(x(r, c) * factor)) * w.view.row(j)[c];
        want(r, j) = static_cast<float>(sum) * (scale * w.scales[static_cast<std::size_t>(j)]);
      }
    }
    B backend(2);
    backend(ops::Linear<B>{.x = x.view(), .y = y.view(), .quantized = &w.view});
    require_same_bits<float>("int8 linear", want, y);
  }
}

// |x'w' - xw| ≤ Σ |x'| |w' - w| + |w| |x' - x|, where x' and w' are off by half a step at most.
BOOST_AUTO_TEST_CASE(rounding_changes_a_linear_map_by_halves_of_steps) {
  const int rows = 7, outs = 40, k = 300;
  auto x = Matrix<float>::normal(rows, k, 1), weights = Matrix<float>::normal(outs, k, 2);
  const Weights w(weights);
  Matrix<float> y(rows, outs);
  B backend(2);
  backend(ops::Linear<B>{.x = x.view(), .y = y.view(), .quantized = &w.view});
  double largest = 0.0;
  for (int r = 0; r < rows; ++r) {
    double most = 0.0;
    for (int c = 0; c < k; ++c) most = std::max(most, std::abs(double(x(r, c))));
    for (int j = 0; j < outs; ++j) {
      const double half_x = most / 127 / 2, half_w = double(w.scales[static_cast<std::size_t>(j)]) / 2;
      double exact = 0.0, bound = 0.0;
      for (int c = 0; c < k; ++c) {
        exact += double(x(r, c)) * double(weights(j, c));
        bound += (std::abs(x(r, c)) + half_x) * half_w + std::abs(weights(j, c)) * half_x;
      }
      BOOST_TEST(std::abs(y(r, j) - exact) <= bound * 1.001);  // and roundings of float
      largest = std::max(largest, std::abs(y(r, j) - exact) / bound);
    }
  }
  BOOST_TEST(largest > 0.01);  // of the worst case: k errors that do not agree
}

BOOST_AUTO_TEST_CASE(a_row_depends_neither_on_threads_nor_on_other_rows) {
  const int rows = 150, outs = 1003, k = 517;
  auto x = Matrix<float>::normal(rows, k, 1), bias = Matrix<float>::normal(1, outs, 3);
  const Weights w(Matrix<float>::normal(outs, k, 2));
  const auto run = [&](B& backend, int first, int count) {
    Matrix<float> y(count, outs);
    backend(ops::Linear<B>{.x = x.view().slice(first, count),
                           .bias = bias.view(),
                           .activation = Activation::Gelu,
                           .y = y.view(),
                           .quantized = &w.view});
    return y;
  };
  require_same_with_any_threads<B>("int8 linear", [&](B& backend) { return run(backend, 0, rows); });
  B backend(2);
  auto all = run(backend, 0, rows);
  for (int count = 1; count <= 40; ++count) {
    auto some = run(backend, rows - count, count);
    Matrix<float> expected(count, outs);
    backend(ops::Copy<B>{.x = all.view().slice(rows - count, count), .y = expected.view()});
    require_same_bits<float>("rows of a larger product", expected, some);
  }
}

BOOST_AUTO_TEST_CASE(a_number_that_is_not_finite_makes_its_row_nan) {
  const int rows = 5, outs = 70, k = 65;
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    auto x = Matrix<float>::normal(rows, k, 1);
    x(2, 64) = bad;
    const Weights w(Matrix<float>::normal(outs, k, 2));
    Matrix<float> y(rows, outs);
    B backend(1);
    backend(ops::Linear<B>{.x = x.view(), .y = y.view(), .quantized = &w.view});
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < outs; ++c) BOOST_TEST(std::isnan(y(r, c)) == (r == 2));
  }
}

BOOST_AUTO_TEST_CASE(an_embedding_looks_up_rows) {
  const int rows = 37, cols = 35;
  const Weights table(Matrix<float>::normal(11, cols, 1));
  std::vector<int> ids;
  for (int r = 0; r < rows; ++r) ids.push_back(r * 7 % 11);
  const auto before = Matrix<float>::normal(rows, cols, 2, 5);
  for (const auto into : {Into::Write, Into::Add}) {
    auto y = before;
    B backend(2);
    backend(ops::Embedding<B>{.ids = ids, .factor = 1.5, .into = into, .y = y.view(), .quantized = &table.view});
    const auto row = [&](int r, int c) {
      const int id = ids[static_cast<std::size_t>(r)];
      return 1.5 * double(table.scales[static_cast<std::size_t>(id)]) * table.view.row(id)[c] +
             (into == Into::Add ? double(before(r, c)) : 0.0);
    };
    require_close<float>("embedding", y, 3, row, [](int, int) { return 12.0; });
  }
}

BOOST_AUTO_TEST_SUITE_END()
