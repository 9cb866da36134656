// What the tests of the CPU kernels share: matrices with guarded gaps between their rows, shapes with odd sizes, and
// comparisons whose tolerance comes from the size of the terms that were added up.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/random.hpp"
#include "sanitized.hpp"

namespace cpu_support {

using Scalars = std::tuple<float, double>;

struct Shape {
  int rows;
  int cols;
};

/// One row, one column, less and more than a block, and enough to be shared out among threads.
/// Sanitizers make threads of kernels slow, so there are fewer of them there.
inline const std::vector<Shape> shapes = {
    {1, 1}, {1, 777}, {5, 1}, {3, 16}, {7, 33}, {2, 256}, {NEURAL_ATTENTION_SANITIZED ? 9 : 97, 777}};

/// A rows × cols matrix on the host; `gap` guard elements follow every row and must stay as they are.
template <class T>
class Matrix {
 public:
  Matrix(int rows, int cols, int gap = 0)
      : rows_(rows), cols_(cols), stride_(cols + gap), values_(static_cast<std::size_t>(rows) * stride_, guard) {
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < cols; ++c) (*this)(r, c) = T(0);
  }
  /// Standard normal numbers, those of `stream`.
  static Matrix normal(int rows, int cols, unsigned stream, int gap = 0) {
    Matrix result(rows, cols, gap);
    neural_attention::RandomStream random({.seed = 17, .step = stream, .site = 0});
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < cols; ++c) result(r, c) = static_cast<T>(random.normal());
    return result;
  }

  int rows() const { return rows_; }
  int cols() const { return cols_; }
  T& operator()(int r, int c) { return values_[static_cast<std::size_t>(r) * stride_ + c]; }
  T operator()(int r, int c) const { return values_[static_cast<std::size_t>(r) * stride_ + c]; }
  neural_attention::RowsOf<T> view() { return {values_.data(), rows_, cols_, stride_}; }

  bool guards_hold() const {
    for (int r = 0; r < rows_; ++r)
      for (auto c = std::ptrdiff_t{cols_}; c < stride_; ++c)
        if (values_[static_cast<std::size_t>(r * stride_ + c)] != guard) return false;
    return true;
  }

 private:
  static constexpr T guard = T(-12345);
  int rows_;
  int cols_;
  std::ptrdiff_t stride_;
  std::vector<T> values_;
};

/// |got - want| ≤ factor · ε · magnitude, where `magnitude` bounds the sum of the absolute terms.
template <class T>
bool close(T got, double want, double magnitude, double factor) {
  return std::abs(static_cast<double>(got) - want) <=
         factor * static_cast<double>(std::numeric_limits<T>::epsilon()) * magnitude;
}

/// Compares all elements with want(r, c) ± factor · ε · magnitude(r, c) and reports the first that differs.
template <class T, class Want, class Magnitude>
void require_close(const std::string& name, const Matrix<T>& got, double factor, Want&& want, Magnitude&& magnitude) {
  int compared = 0;
  for (int r = 0; r < got.rows(); ++r) {
    for (int c = 0; c < got.cols(); ++c, ++compared) {
      if (close(got(r, c), want(r, c), magnitude(r, c), factor)) continue;
      BOOST_ERROR(name << " [" << got.rows() << ", " << got.cols() << "] (" << r << ", " << c << "): " << got(r, c)
                       << " instead of " << want(r, c));
      return;
    }
  }
  BOOST_TEST(compared > 0);
  BOOST_TEST(got.guards_hold(), name << " wrote between the rows");
}

template <class T>
void require_same_bits(const std::string& name, Matrix<T>& a, Matrix<T>& b) {
  BOOST_TEST_REQUIRE(a.rows() == b.rows());
  BOOST_TEST_REQUIRE(a.cols() == b.cols());
  BOOST_TEST_REQUIRE(a.view().size() > 0);
  bool same = true;
  for (int r = 0; r < a.rows(); ++r)
    same = same && std::memcmp(a.view().row(r), b.view().row(r), sizeof(T) * static_cast<std::size_t>(a.cols())) == 0;
  BOOST_TEST(same, name << ": not the same bits");
}

/// Runs compute(backend) → Matrix<T> with 1, 2 and 7 threads (or with devices that differ in the order of their
/// threads) and requires the same bits.
template <class B, class Compute>
void require_same_with_any_threads(const std::string& name, Compute&& compute) {
  B one(1), two(2), seven(7);
  auto expected = compute(one), with_two = compute(two), with_seven = compute(seven);
  require_same_bits(name + " with 2 threads", expected, with_two);
  require_same_bits(name + " with 7 threads", expected, with_seven);
}

}  // namespace cpu_support
