// Definitions of what backend/cpu/matrix_factors.hpp declares.
#pragma once

#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <span>

#include "neural_attention/backend/cpu/matrix_factors.hpp"

namespace neural_attention {

template <class T>
MatrixFactors<T> factored(std::span<const T> weight, int out, int in, int inner) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const Matrix> w(weight.data(), out, in);
  const Eigen::BDCSVD<Matrix> svd(w, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const auto& values = svd.singularValues();
  const Eigen::Index used = std::min<Eigen::Index>(inner, values.size());
  const Eigen::Matrix<T, Eigen::Dynamic, 1> root = values.head(used).cwiseSqrt();
  const Matrix first = root.asDiagonal() * svd.matrixV().leftCols(used).transpose();
  Matrix last = Matrix::Zero(out, inner);
  last.leftCols(used) = svd.matrixU().leftCols(used) * root.asDiagonal();
  MatrixFactors<T> factors;
  factors.first.assign(first.data(), first.data() + first.size());
  factors.last.assign(last.data(), last.data() + last.size());
  const T all = values.squaredNorm(), lost = values.tail(values.size() - used).squaredNorm();
  if (all > T(0)) factors.left_out = std::sqrt(lost / all);
  return factors;
}

}  // namespace neural_attention
