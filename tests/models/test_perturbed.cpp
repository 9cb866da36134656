// Perturbed itself: its attention is that of the backend but for errors of the size that they shall have, with a soft
// cap and without one.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_perturbed
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <vector>

#include "models/perturbed.hpp"

using namespace neural_attention;

namespace {

constexpr int rows = 13, columns = 12, heads = 3;

/// out, log_sum_exp, dq, dk and dv of one attention to random numbers.
using Results = std::array<std::vector<double>, 5>;

template <class B>
Results attention(B&& backend, double soft_cap) {
  using T = typename std::remove_cvref_t<B>::Scalar;
  RandomStream random({7, 0, 0});
  std::vector<std::vector<T>> storage;
  storage.reserve(9);
  const auto matrix = [&](int cols) {
    auto& values = storage.emplace_back(static_cast<std::size_t>(rows * cols));
    for (auto& value : values) value = static_cast<T>(static_cast<float>(1.5 * random.normal()));
    return RowsOf<T>(values.data(), rows, cols);
  };
  const auto q = matrix(columns), k = matrix(columns), v = matrix(columns), dout = matrix(columns);
  const auto out = matrix(columns), log_sum_exp = matrix(heads);
  const auto dq = matrix(columns), dk = matrix(columns), dv = matrix(columns);
  Ragged sequences;
  for (const int length : {1, 5, 7}) sequences.push(length);
  const AttentionShape shape{.heads = heads, .scale = 0.5, .causal = true, .soft_cap = soft_cap};
  backend(ops::AttentionOf<T>{.q = q,
                              .k = k,
                              .v = v,
                              .queries = sequences,
                              .keys = sequences,
                              .shape = shape,
                              .out = out,
                              .log_sum_exp = log_sum_exp});
  backend(ops::AttentionBackwardOf<T>{.dout = dout,
                                      .q = q,
                                      .k = k,
                                      .v = v,
                                      .out = out,
                                      .log_sum_exp = log_sum_exp,
                                      .queries = sequences,
                                      .keys = sequences,
                                      .shape = shape,
                                      .dq = dq,
                                      .dk = dk,
                                      .dv = dv});
  Results results;
  std::size_t next = 0;
  for (const auto& x : {out, log_sum_exp, dq, dk, dv}) results[next++].assign(x.data, x.data + x.size());
  return results;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double squares = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(squares);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(attention_of_perturbed)

BOOST_AUTO_TEST_CASE(has_errors_like_those_of_the_precision) {
  constexpr int runs = 16;
  for (const double cap : {0.0, 1.5})
    for (const auto precision : {Precision::Float32, Precision::BFloat16}) {
      const auto exact = attention(Cpu<double>(1), cap);
      const auto found = attention(Cpu<float>(1, precision), cap);
      std::array<double, 5> squares{};
      for (int seed = 1; seed <= runs; ++seed) {
        const auto disturbed = attention(Perturbed(seed, precision), cap);
        for (std::size_t i = 0; i < exact.size(); ++i)
          squares[i] += std::pow(distance(disturbed[i], exact[i]), 2) / runs;
      }
      for (std::size_t i = 0; i < exact.size(); ++i) {
        const double expected = std::sqrt(squares[i]), error = distance(found[i], exact[i]);
        const double size = distance(exact[i], std::vector<double>(exact[i].size()));
        BOOST_TEST_MESSAGE("cap " << cap << ", result " << i << " of size " << size << ": off by " << error
                                  << ", expected " << expected);
        BOOST_TEST(error < 3.0 * expected);
        BOOST_TEST(expected < (precision == Precision::Float32 ? 3e-5 : 2e-2) * size);
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()
