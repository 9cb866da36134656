// Depthwise convolution over packed sequences against plain loops in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_convolution
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "backend/backends.hpp"
#include "backend/sums.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

struct Case {
  int taps, ahead;
};
constexpr Case cases[] = {{1, 0}, {3, 0}, {3, 1}, {4, 0}, {5, 2}};

/// Sequences of some lengths, also none and fewer than the kernel has taps, with so many rows together.
Ragged sequences_of(int rows) {
  Ragged result;
  const int lengths[] = {2, 0, 7, 1, 13, 40};
  for (std::size_t i = 0; rows > 0; i = (i + 1) % std::size(lengths)) {
    result.push(std::min(rows, lengths[i]));
    rows -= std::min(rows, lengths[i]);
  }
  result.push(0);
  return result;
}

/// Calls use(row, other row, tap) for all that belong together.
void for_each_pair(const Ragged& sequences, const Case& kernel, auto&& use) {
  for (int s = 0; s < sequences.sequences(); ++s)
    for (int t = 0; t < sequences.length(s); ++t)
      for (int j = 0; j < kernel.taps; ++j)
        if (const int seen = t + kernel.ahead - j; seen >= 0 && seen < sequences.length(s))
          use(sequences.begin(s) + t, sequences.begin(s) + seen, j);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(convolution)

BOOST_AUTO_TEST_CASE_TEMPLATE(convolves_each_sequence_alone, B, Backends) {
  using T = typename B::Scalar;
  for (const auto [rows, cols] : shapes)
    for (const auto& how : cases) {
      const auto sequences = sequences_of(rows);
      auto x = Matrix<T>::normal(rows, cols, 1, 3), kernel = Matrix<T>::normal(how.taps, cols, 2, 1);
      Sums sums(rows, cols);
      for_each_pair(sequences, how, [&](int row, int seen, int tap) {
        for (int c = 0; c < cols; ++c) sums.add(row, c, double(x(seen, c)) * double(kernel(tap, c)));
      });
      require_same_with_any_threads<B>("depthwise_convolution", [&](B& backend) {
        Matrix<T> y(rows, cols, 4);
        backend(ops::DepthwiseConvolution<B>{
            .x = x.view(), .kernel = kernel.view(), .ahead = how.ahead, .sequences = sequences, .y = y.view()});
        require_sums<T>("depthwise_convolution", y, sums);
        return y;
      });
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(gradients_are_those_of_the_sums, B, Backends) {
  using T = typename B::Scalar;
  using Real = typename B::Real;
  for (const auto [rows, cols] : shapes)
    for (const auto& how : cases)
      for (const auto into : {Into::Write, Into::Add}) {
        const auto sequences = sequences_of(rows);
        auto dy = Matrix<T>::normal(rows, cols, 1, 2), x = Matrix<T>::normal(rows, cols, 2, 3);
        auto kernel = Matrix<T>::normal(how.taps, cols, 3, 1);
        const auto before = Matrix<T>::normal(rows, cols, 4, 5);
        const auto kernel_before = Matrix<Real>::normal(how.taps, cols, 5, 2);
        Sums of_x(rows, cols), of_kernel(how.taps, cols);
        for (int c = 0; c < cols; ++c) {
          for (int r = 0; r < rows && into == Into::Add; ++r) of_x.add(r, c, double(before(r, c)));
          for (int j = 0; j < how.taps; ++j) of_kernel.add(j, c, double(kernel_before(j, c)));
        }
        for_each_pair(sequences, how, [&](int row, int seen, int tap) {
          for (int c = 0; c < cols; ++c) {
            of_x.add(seen, c, double(dy(row, c)) * double(kernel(tap, c)));
            of_kernel.add(tap, c, double(dy(row, c)) * double(x(seen, c)));
          }
        });
        require_same_with_any_threads<B>("depthwise_convolution_backward", [&](B& backend) {
          auto dx = before;
          auto dkernel = kernel_before;
          backend(ops::DepthwiseConvolutionBackward<B>{.dy = dy.view(),
                                                       .x = x.view(),
                                                       .kernel = kernel.view(),
                                                       .ahead = how.ahead,
                                                       .sequences = sequences,
                                                       .into = into,
                                                       .dx = dx.view(),
                                                       .dkernel = dkernel.view()});
          require_sums<T>("dx", dx, of_x);
          require_sums<Real>("dkernel", dkernel, of_kernel);
          return dkernel;
        });
      }
}

BOOST_AUTO_TEST_CASE(rows_know_their_sequence) {
  const Ragged sequences(std::vector{0, 3, 0, 0, 2, 1, 0});
  const int expected[] = {1, 1, 1, 4, 4, 5};
  for (int row = 0; row < sequences.total(); ++row) BOOST_TEST(sequences.sequence_of(row) == expected[row]);
}

BOOST_AUTO_TEST_SUITE_END()
