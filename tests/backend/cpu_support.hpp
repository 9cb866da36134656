// What the tests of the CPU kernels share: matrices with guarded gaps between their rows, shapes with odd sizes, and
// comparisons whose tolerance comes from the size of the terms that were added up.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <ostream>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "backend/test_memory.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/bfloat16.hpp"
#include "neural_attention/core/random.hpp"
#include "sanitized.hpp"

namespace neural_attention {

inline std::ostream& operator<<(std::ostream& out, bfloat16 x) { return out << static_cast<float>(x); }

}  // namespace neural_attention

/// Compared as it is: BOOST_TEST has no tolerance for it.
template <>
struct boost::math::fpc::tolerance_based<neural_attention::bfloat16> : boost::mpl::false_ {};

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
  T& operator()(int r, int c) {
    wait_for_device();
    return values_[static_cast<std::size_t>(r) * stride_ + c];
  }
  T operator()(int r, int c) const {
    wait_for_device();
    return values_[static_cast<std::size_t>(r) * stride_ + c];
  }
  /// For the host to read by, or for an operation that begins before anything else is read.
  neural_attention::RowsOf<T> view() {
    wait_for_device();
    expect_work();
    return {values_.data(), rows_, cols_, stride_};
  }

  bool guards_hold() const {
    wait_for_device();
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
  std::vector<T, TestMemory<T>> values_;
};

/// A StepOutcome where a backend and the host see it.
class SharedOutcome {
 public:
  explicit SharedOutcome(const neural_attention::StepOutcome& first = {}) { values_[0] = first; }
  neural_attention::StepOutcome* place() {
    expect_work();
    return values_.data();
  }
  const neural_attention::StepOutcome* operator->() const {
    wait_for_device();
    return values_.data();
  }

 private:
  std::vector<neural_attention::StepOutcome, TestMemory<neural_attention::StepOutcome>> values_{1};
};

/// What results of type T are computed in.
template <class T>
using Computed = std::conditional_t<std::is_same_v<T, neural_attention::bfloat16>, float, T>;
template <class T>
inline constexpr auto machine_epsilon = static_cast<double>(std::numeric_limits<Computed<T>>::epsilon());
/// By how much storing a result as T changes it, relatively, where it was computed in another type.
template <class T>
inline constexpr double storing = std::is_same_v<T, neural_attention::bfloat16> ? 0x1p-8 : 0.0;

/// |got - want| ≤ factor · ε · magnitude, where `magnitude` bounds the sum of the absolute terms and ε is of the type
/// that `got` was computed in; storing it may round once more. With factor 0 nothing is computed and nothing rounded.
template <class T>
bool close(T got, double want, double magnitude, double factor) {
  const double computing = factor * machine_epsilon<T> * magnitude;
  const double rounding = factor > 0.0 ? storing<T> * (std::abs(want) + computing) : 0.0;
  return std::abs(static_cast<double>(got) - want) <= computing + rounding;
}

/// Compares all elements with want(r, c) ± factor · ε · magnitude(r, c) and reports the first that differs.
template <class T, class Want, class Magnitude>
void require_close(const std::string& name, const Matrix<T>& got, double factor, Want&& want, Magnitude&& magnitude) {
  int compared = 0;
  for (int r = 0; r < got.rows(); ++r) {
    for (int c = 0; c < got.cols(); ++c, ++compared) {
      if (close(got(r, c), double(want(r, c)), magnitude(r, c), factor)) continue;
      BOOST_ERROR(name << " [" << got.rows() << ", " << got.cols() << "] (" << r << ", " << c << "): " << got(r, c)
                       << " instead of " << double(want(r, c)));
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
