// Products of which only a part is needed, where an operand or the result is a triangle: the same bits as the whole
// product, with numbers of every kind.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_gemm_parts
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu_support.hpp"
#include "neural_attention/backend/cpu/gemm_kernel.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

using cpu_gemm::Numbers;
using cpu_gemm::Part;

/// The kinds that this processor can multiply, with their names.
std::vector<std::pair<std::string, Numbers>> all_numbers() {
  std::vector<std::pair<std::string, Numbers>> all = {{"plain", Numbers::Plain}, {"rounded", Numbers::Rounded}};
#if NEURAL_ATTENTION_BFLOAT16_PAIRS
  all.emplace_back("pairs", Numbers::Pairs);
#endif
  if (cpu_gemm::tiles_work()) all.emplace_back("tiles", Numbers::Tiles);
  return all;
}

/// Whether row i of a triangle has column j.
bool has(int i, int j, int diagonal) { return j <= i + diagonal; }

/// Products with `part` and without, from the same addend.
struct Two {
  Two(Numbers numbers, int m, int n, int k, cpu_gemm::Operand<float> a, cpu_gemm::Operand<float> b, bool add, Part part)
      : whole(Matrix<float>::normal(m, n, 3)), some(whole) {
    for (const auto& [c, of] : {std::pair{&whole, Part{}}, {&some, part}}) {
      const auto view = c->view();
      const auto addend = add ? cpu_gemm::Addend<float>{view.data, view.stride} : cpu_gemm::Addend<float>{};
      CpuEngine<float>::Workspace workspace;
      cpu_gemm::packed_gemm<float>(m, n, k, a, b, addend, view.data, view.stride, numbers, workspace, of);
      BOOST_TEST(c->guards_hold());
    }
  }
  Matrix<float> whole, some;
};

const std::vector<std::array<int, 3>> products = {
    {128, 128, 64}, {100, 77, 128}, {33, 48, 40}, {5, 17, 100}, {128, 64, 128}};
constexpr std::array diagonals = {0, 3, -2, 40, -33, 128};

}  // namespace

BOOST_AUTO_TEST_SUITE(packed)

// The largest panel of the right operand is not a multiple of each processor's packet.
BOOST_AUTO_TEST_CASE(panels_stay_in_their_memory) {
  using Right = cpu_gemm::PackedRight<float>;
  using B = cpu_gemm::Blocks<float>;
  constexpr float guard = 12345;
  for (const auto& [name, numbers] : all_numbers()) {
    const int most = cpu_gemm::panel_cols<float>(numbers);
    const auto largest = Right::size(numbers, most, B::panel_depth);
    for (const int n : {1, most - 1, most, 2048, 3072, 4096, 5120, 50257})
      for (int k = 1; k <= 2600; k += k < 1200 ? 199 : 1)
        cpu_gemm::for_each_panel<float>(
            n, k, most, cpu_gemm::unit_of_terms<float>(numbers),
            [&](int, int cols, int, int depth) { BOOST_TEST_REQUIRE(Right::size(numbers, cols, depth) <= largest); });
    auto b = Matrix<float>::normal(B::panel_depth, most, 1);
    for (const auto& [n, k] : {std::pair{most, B::panel_depth}, {most - 1, 1271}, {1, 1}, {47, 300}}) {
      const auto size = Right::size(numbers, n, k);
      std::vector<float, Eigen::aligned_allocator<float>> memory(size + 64 * 1024, guard);
      const Right right(numbers, n, k, memory.data());
      for (int i = 0; i < right.pieces(); ++i) right.pack(i, {b.view().data, b.view().stride, false});
      const auto written = std::count_if(memory.begin() + static_cast<std::ptrdiff_t>(size), memory.end(),
                                         [](float number) { return number != guard; });
      BOOST_TEST(written == 0, name << " [" << k << ", " << n << "]: " << written << " numbers behind its memory");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(parts)

BOOST_AUTO_TEST_CASE(results_that_are_triangles) {
  for (const auto& [name, numbers] : all_numbers())
    for (const auto [m, n, k] : products)
      for (const int diagonal : diagonals) {
        auto a = Matrix<float>::normal(m, k, 1), b = Matrix<float>::normal(n, k, 2);
        Two two(numbers, m, n, k, {a.view().data, a.view().stride, false}, {b.view().data, b.view().stride, true},
                false, {Part::Of::Columns, diagonal});
        for (int i = 0; i < m; ++i)
          for (int j = 0; j < n; ++j)
            if (has(i, j, diagonal) && two.whole(i, j) != two.some(i, j))
              BOOST_ERROR(name << ", diagonal " << diagonal << ": [" << i << ", " << j << "] differs");
      }
}

BOOST_AUTO_TEST_CASE(operands_that_are_triangles) {
  for (const auto& [name, numbers] : all_numbers())
    for (const auto [m, n, k] : products)
      for (const int diagonal : diagonals)
        for (const bool transposed : {false, true}) {
          auto a = Matrix<float>::normal(transposed ? k : m, transposed ? m : k, 1), b = Matrix<float>::normal(k, n, 2);
          for (int i = 0; i < a.view().rows; ++i)
            for (int j = 0; j < a.view().cols; ++j)
              if (!has(i, j, diagonal)) a(i, j) = 0.0f;
          Two two(numbers, m, n, k, {a.view().data, a.view().stride, transposed},
                  {b.view().data, b.view().stride, false}, true,
                  {transposed ? Part::Of::LastTerms : Part::Of::FirstTerms, diagonal});
          require_same_bits<float>(name + ", diagonal " + std::to_string(diagonal), two.whole, two.some);
        }
}

BOOST_AUTO_TEST_SUITE_END()
