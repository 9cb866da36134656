// Definitions of what backend/cpu/matrix_factors.hpp declares.
#pragma once

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "neural_attention/backend/cpu/matrix_factors.hpp"

namespace neural_attention {

/// By the eigenvectors V of Wᵀ W (or U of W Wᵀ, where that is smaller): W V Vᵀ is W up to rounding, however small the
/// singular values are. Eigen's decompositions by singular values themselves take 30 s to compile.
template <class T>
MatrixFactors<T> factored(std::span<const T> weight, int out, int in, int inner) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Matrix w = Eigen::Map<const RowMajor>(weight.data(), out, in);
  const bool tall = out >= in;
  const Matrix gram = tall ? Matrix(w.transpose() * w) : Matrix(w * w.transpose());
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(gram);  // in ascending order
  const auto used = std::min<Eigen::Index>(inner, gram.rows());
  const Matrix vectors = solver.eigenvectors().rightCols(used);
  // The roots of the singular values; where these are noise, of what the noise is.
  const T largest = std::sqrt(std::max(solver.eigenvalues().tail(1)[0], T(0)));
  const T least = largest > T(0) ? largest * std::sqrt(std::numeric_limits<T>::epsilon()) : T(1);
  const auto root = solver.eigenvalues().tail(used).cwiseMax(T(0)).cwiseSqrt().cwiseMax(least).cwiseSqrt().eval();
  const auto inverse = root.cwiseInverse().eval();
  RowMajor first, last = RowMajor::Zero(out, inner);
  if (tall) {
    first = root.asDiagonal() * vectors.transpose();
    last.leftCols(used) = w * vectors * inverse.asDiagonal();
  } else {
    first = inverse.asDiagonal() * (vectors.transpose() * w);
    last.leftCols(used) = vectors * root.asDiagonal();
  }
  MatrixFactors<T> factors;
  factors.first.assign(first.data(), first.data() + first.size());
  factors.last.assign(last.data(), last.data() + last.size());
  if (used < gram.rows() && largest > T(0)) factors.left_out = (w - last.leftCols(used) * first).norm() / w.norm();
  return factors;
}

}  // namespace neural_attention
