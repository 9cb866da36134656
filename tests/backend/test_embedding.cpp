// Embedding lookup and its gradient on the CPU against plain loops in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_embedding
#include <boost/test/unit_test.hpp>

#include "backend/backends.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

constexpr int vocabulary = 11;
constexpr double factor = 1.3;

/// Ids with many repeats.
std::vector<int> some_ids(int n) {
  RandomStream random({.seed = 3, .step = 1, .site = 2});
  std::vector<int> ids;
  for (int i = 0; i < n; ++i) ids.push_back(static_cast<int>(random.below(vocabulary)));
  return ids;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(embedding)

BOOST_AUTO_TEST_CASE_TEMPLATE(looks_up_rows, B, Backends) {
  using T = typename B::Scalar;
  constexpr double roundings = 3;
  for (const auto [rows, cols] : shapes) {
    B backend(2);
    const auto ids = some_ids(rows);
    auto table = Matrix<T>::normal(vocabulary, cols, 1, 3);
    const auto before = Matrix<T>::normal(rows, cols, 2, 5);
    auto y = before;
    const auto row = [&](int r, int c) { return factor * double(table(ids[static_cast<std::size_t>(r)], c)); };
    const auto size = [](int, int) { return 10.0; };
    backend(ops::Embedding<B>{.ids = ids, .table = table.view(), .factor = factor, .y = y.view()});
    require_close<T>("embedding", y, roundings, row, size);
    y = before;
    backend(ops::Embedding<B>{.ids = ids, .table = table.view(), .factor = factor, .into = Into::Add, .y = y.view()});
    require_close<T>(
        "embedding, added", y, roundings, [&](int r, int c) { return double(before(r, c)) + row(r, c); }, size);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(gradient_sums_equal_ids, B, Backends) {
  using T = typename B::Scalar;
  using Real = typename B::Real;
  for (const int padding : {-1, 4}) {
    for (const auto [rows, cols] : shapes) {
      const auto ids = some_ids(rows);
      auto dy = Matrix<T>::normal(rows, cols, 1, 3);
      const auto before = Matrix<Real>::normal(vocabulary, cols, 2, 2);
      Matrix<double> want(vocabulary, cols), terms(vocabulary, cols);
      for (int v = 0; v < vocabulary; ++v)
        for (int c = 0; c < cols; ++c) want(v, c) = before(v, c), terms(v, c) = std::abs(before(v, c));
      for (int r = 0; r < rows; ++r) {
        const int id = ids[static_cast<std::size_t>(r)];
        if (id == padding) continue;
        for (int c = 0; c < cols; ++c)
          want(id, c) += factor * double(dy(r, c)), terms(id, c) += std::abs(factor * double(dy(r, c)));
      }
      require_same_with_any_threads<B>("embedding_backward", [&](B& backend) {
        auto table = before;
        backend(ops::EmbeddingBackward<B>{
            .dy = dy.view(), .ids = ids, .factor = factor, .padding = padding, .dtable = table.view()});
        require_close<Real>("embedding_backward", table, dy.rows() + 2.0, want, terms);
        return table;
      });
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
