// Products of bfloat16 numbers: how they are packed, results that depend on nothing but the operands, and the same bits
// by the instruction for pairs and by float's multiply-adds.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_bfloat16_products
#include <algorithm>
#include <array>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu_support.hpp"
#include "neural_attention/backend/cpu/gemm_kernel.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

using B = Cpu<float>;

struct Rounding : B {
  explicit Rounding(int threads) : B(threads, Precision::BFloat16) {}
};

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

struct Rounded {
  std::uint32_t exact, nearest;
};

/// Bits of floats and of the nearest bfloat16.
const std::vector<Rounded> roundings = {
    {0x3f800000, 0x3f800000}, {0x3f807fff, 0x3f800000}, {0x3f808000, 0x3f800000},  // a tie, and 1.0 is even
    {0x3f808001, 0x3f810000}, {0x3f818000, 0x3f820000}, {0xbf818000, 0xbf820000},  // a tie, and 1.0078125 is odd
    {0x3fffffff, 0x40000000}, {0x00000000, 0x00000000}, {0x80000000, 0x80000000}, {0x00008000, 0x00000000},
    {0x00018000, 0x00020000}, {0x80007fff, 0x80000000}, {0x007fffff, 0x00800000},  // denormals
    {0x7f7fffff, 0x7f800000}, {0x7f7f7fff, 0x7f7f0000}, {0x7f800000, 0x7f800000}, {0xff800000, 0xff800000},
    {0x7fc00000, 0x7fc00000}, {0xff800001, 0xffc00000},  // not numbers
};

using cpu_gemm::Numbers;
using cpu_gemm::Operand;

[[maybe_unused]] Operand<float> operand(Matrix<float>& m, bool transposed) {
  return {m.view().data, m.view().stride, transposed};
}

[[maybe_unused]] void multiply(Numbers numbers, int m, int n, int k, Operand<float> a, Operand<float> b,
                               cpu_gemm::Addend<float> addend, RowsOf<float> c) {
  CpuEngine<float>::Workspace workspace;
  cpu_gemm::packed_gemm<float>(m, n, k, a, b, addend, c.data, c.stride, numbers, workspace);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(packing)

BOOST_AUTO_TEST_CASE(numbers_are_rounded_to_nearest_even) {
  constexpr int rows = 3;
  for (const int width : {1, cpu_gemm::Blocks<float>::rows, cpu_gemm::Blocks<float>::cols})
    for (std::size_t first = 0; first < roundings.size(); ++first) {
      const auto number = [&](int p, int q) {
        return roundings[(first + static_cast<std::size_t>(p * width + q)) % roundings.size()];
      };
      const auto plain = [&] {
        std::vector<float> values;
        for (int p = 0; p < rows; ++p)
          for (int q = 0; q < width; ++q) values.push_back(std::bit_cast<float>(number(p, q).exact));
        return values;
      };
      auto values = plain();
      std::vector<float> packed(values.size());
      cpu_gemm::pack_rows(Numbers::Rounded, 0, rows, width, values.data(), packed.data());
      for (int p = 0; p < rows; ++p)  // the rows of a pair change places
        for (int q = 0; q < width; ++q) {
          const int place = p == 0 ? 1 : p == 1 ? 0 : 2;
          BOOST_TEST(bits(packed[static_cast<std::size_t>(place * width + q)]) == number(p, q).nearest);
        }
      values = plain();
      cpu_gemm::pack_rows(Numbers::Pairs, 0, rows, width, values.data(), packed.data());
      for (int q = 0; q < width; ++q) {
        const auto pair = bits(packed[static_cast<std::size_t>(q)]),
                   last = bits(packed[static_cast<std::size_t>(width + q)]);
        BOOST_TEST(pair << 16 == number(0, q).nearest);
        BOOST_TEST((pair & 0xffff0000u) == number(1, q).nearest);
        BOOST_TEST(last << 16 == number(2, q).nearest);
        BOOST_TEST((last & 0xffff0000u) == 0u);
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(bits_of_results)

BOOST_AUTO_TEST_CASE(threads_change_no_bit) {
  for (const auto [rows, out, in] :
       {std::array{1, 1, 1}, {5, 33, 1}, {9, 17, 15}, {40, 65, 33}, {150, 110, 301}, {300, 40, 1301}, {17, 1100, 7}}) {
    auto x = Matrix<float>::normal(rows, in, 1, 3), w = Matrix<float>::normal(out, in, 2, 1),
         dy = Matrix<float>::normal(rows, out, 3, 2), bias = Matrix<float>::normal(1, out, 4);
    require_same_with_any_threads<Rounding>("y", [&](Rounding& backend) {
      auto y = Matrix<float>::normal(rows, out, 5, 2);
      backend(ops::Linear<B>{.x = x.view(), .w = w.view(), .bias = bias.view(), .y = y.view()});
      BOOST_TEST(y.guards_hold());
      return y;
    });
    for (const auto into : {Into::Write, Into::Add})
      require_same_with_any_threads<Rounding>("dx", [&](Rounding& backend) {
        auto dx = Matrix<float>::normal(rows, in, 6, 1);
        backend(ops::LinearInputGradient<B>{.dy = dy.view(), .w = w.view(), .into = into, .dx = dx.view()});
        BOOST_TEST(dx.guards_hold());
        return dx;
      });
    require_same_with_any_threads<Rounding>("dw", [&](Rounding& backend) {
      auto dw = Matrix<float>::normal(out, in, 7, 3);
      backend(ops::LinearWeightGradient<B>{.dy = dy.view(), .x = x.view(), .dw = dw.view()});
      BOOST_TEST(dw.guards_hold());
      return dw;
    });
  }
}

BOOST_AUTO_TEST_CASE(other_rows_and_kept_weights_change_no_bit) {
  constexpr int rows = 20;
  for (const auto& [out, in] : {std::pair{64, 512}, {100, 1301}, {17, 251}, {1, 1}, {3, 5}, {1100, 33}, {49, 1}}) {
    auto x = Matrix<float>::normal(rows, in, 1), w = Matrix<float>::normal(out, in, 2);
    Matrix<float> all(rows, out);
    Rounding backend(2), kept(2);
    kept.keep_weights(true);
    backend(ops::Linear<B>{.x = x.view(), .w = w.view(), .y = all.view()});
    for (int few = 1; few <= rows; few += few < 9 ? 1 : 11) {
      Matrix<float> some(few, out), with_kept(few, out), expected(few, out);
      backend(ops::Linear<B>{.x = x.view().slice(rows - few, few), .w = w.view(), .y = some.view()});
      kept(ops::Linear<B>{.x = x.view().slice(rows - few, few), .w = w.view(), .y = with_kept.view()});
      backend(ops::Copy<B>{.x = all.view().slice(rows - few, few), .y = expected.view()});
      require_same_bits<float>("some rows of a product", expected, some);
      require_same_bits<float>("kept weights", expected, with_kept);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(instructions)

BOOST_AUTO_TEST_CASE(the_environment_chooses_among_known_words) {
  constexpr const char* variable = "NEURAL_ATTENTION_BFLOAT16";
  const char* const set = std::getenv(variable);
  const std::string before = set ? set : "";
  const auto error_with = [](const char* word) {
    setenv(variable, word, 1);
    try {
      cpu_gemm::forced_numbers();
      return std::string();
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
  };
  BOOST_CHECK_EQUAL(error_with("instruction"),
                    "NEURAL_ATTENTION_BFLOAT16 must be amx, instructions or float, not \"instruction\"");
  BOOST_CHECK_EQUAL(error_with(""), "");
  BOOST_CHECK(!cpu_gemm::forced_numbers());
  BOOST_CHECK_EQUAL(error_with("float"), "");
  BOOST_CHECK(cpu_gemm::forced_numbers() == Numbers::Rounded);
  BOOST_CHECK_EQUAL(error_with("instructions").empty(), NEURAL_ATTENTION_BFLOAT16_PAIRS == 1);
  BOOST_CHECK_EQUAL(error_with("amx").empty(), cpu_gemm::tiles_work());
  unsetenv(variable);
  BOOST_CHECK(!cpu_gemm::forced_numbers());
  if (set) setenv(variable, before.c_str(), 1);
}

#if NEURAL_ATTENTION_BFLOAT16_PAIRS
namespace {

/// Calls body(what, m, n, k, a, b, addend, c) for products of many shapes. The addend is nothing, a row, or C.
template <class Body>
void for_products(Body&& body) {
  for (const auto [m, n, k] : {std::array{1, 1, 1},
                               {1, 16, 2},
                               {2, 49, 1},
                               {3, 48, 3},
                               {4, 96, 33},
                               {5, 97, 256},
                               {6, 15, 257},
                               {7, 130, 64},
                               {8, 31, 511},
                               {9, 33, 1301},
                               {32, 64, 96},
                               {130, 200, 77},
                               {290, 48, 31},
                               {33, 1100, 272}})
    for (const bool a_transposed : {false, true})
      for (const bool b_transposed : {false, true})
        for (const int added : {0, 1, 2}) {
          auto a = Matrix<float>::normal(a_transposed ? k : m, a_transposed ? m : k, 1, 3);
          auto b = Matrix<float>::normal(b_transposed ? n : k, b_transposed ? k : n, 2, 1);
          auto row = Matrix<float>::normal(1, n, 3);
          const auto c = Matrix<float>::normal(m, n, 4, 2);
          const auto addend_of = [&, added = added](RowsOf<float> result) {
            const cpu_gemm::Addend<float> addends[] = {{}, {row.view().data, 0}, {result.data, result.stride}};
            return addends[added];
          };
          body(std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k), m, n, k,
               operand(a, a_transposed), operand(b, b_transposed), addend_of, c);
        }
}

/// 1 · x for what is not finite and for a denormal number.
void require_special_numbers(Numbers numbers) {
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float values[] = {infinity, -infinity, nan, 1.0f, 1e-39f};
  constexpr int n = 5, k = 3;
  Matrix<float> a(1, k), b(k, n), c(1, n);
  for (int p = 0; p < k; ++p) a(0, p) = p == 1 ? 1.0f : 0.0f;
  for (int q = 0; q < n; ++q) b(1, q) = values[q];
  multiply(numbers, 1, n, k, operand(a, false), operand(b, false), {}, c.view());
  BOOST_TEST(c(0, 0) == infinity);
  BOOST_TEST(c(0, 1) == -infinity);
  BOOST_TEST(std::isnan(c(0, 2)));
  BOOST_TEST(c(0, 3) == 1.0f);
  BOOST_TEST(c(0, 4) == 0.0f);
}

}  // namespace

BOOST_AUTO_TEST_CASE(pairs_have_the_bits_of_multiply_adds) {
  for_products([](const std::string& what, int m, int n, int k, auto a, auto b, auto addend_of, const auto& c) {
    auto by_pairs = c, by_floats = c;
    for (const auto& [numbers, result] : {std::pair{Numbers::Pairs, &by_pairs}, {Numbers::Rounded, &by_floats}}) {
      multiply(numbers, m, n, k, a, b, addend_of(result->view()), result->view());
      BOOST_TEST(result->guards_hold());
    }
    require_same_bits<float>(what, by_floats, by_pairs);
  });
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_stays_and_denormals_are_zero) { require_special_numbers(Numbers::Pairs); }
#else
BOOST_AUTO_TEST_CASE(pairs_have_the_bits_of_multiply_adds) {
  BOOST_TEST_MESSAGE("SKIPPED: compiled without AVX512-BF16, so that no kernel of pairs ran");
}
#endif

#if NEURAL_ATTENTION_BFLOAT16_TILES
BOOST_AUTO_TEST_CASE(tiles_have_the_bits_of_their_definition) {
  if (!cpu_gemm::tiles_work()) {
    BOOST_TEST_MESSAGE("SKIPPED: this processor has no AMX, so that no kernel of tiles ran");
    return;
  }
  for_products([](const std::string& what, int m, int n, int k, auto a, auto b, auto addend_of, const auto& c) {
    auto by_tiles = c, expected = c;
    multiply(Numbers::Tiles, m, n, k, a, b, addend_of(by_tiles.view()), by_tiles.view());
    BOOST_TEST(by_tiles.guards_hold());
    const auto addend = addend_of(expected.view());
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) {
        float sum = addend.data ? *addend.at(i, j).data : 0.0f;
        for (int p = 0; p < k; p += 32) {
          float of_pair[2] = {};
          for (int q = p; q < std::min(k, p + 32); ++q)
            of_pair[q % 2] =
                std::fma(round_to_bfloat16(*a.at(i, q).data), round_to_bfloat16(*b.at(q, j).data), of_pair[q % 2]);
          sum += of_pair[0] + of_pair[1];
        }
        expected(i, j) = sum;
      }
    require_same_bits<float>(what, expected, by_tiles);
  });
}

BOOST_AUTO_TEST_CASE(tiles_keep_what_is_not_finite_and_take_denormals_for_zero) {
  if (cpu_gemm::tiles_work()) require_special_numbers(Numbers::Tiles);
}
#else
BOOST_AUTO_TEST_CASE(tiles_have_the_bits_of_their_definition) {
  BOOST_TEST_MESSAGE("SKIPPED: compiled without AMX, so that no kernel of tiles ran");
}
#endif

BOOST_AUTO_TEST_SUITE_END()
