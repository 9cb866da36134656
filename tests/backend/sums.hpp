// Sums of products as tests expect them: the value in double, and the size of the terms, which bounds the rounding.
#pragma once

#include <cmath>
#include <string>

#include "backend/cpu_support.hpp"

namespace cpu_support {

/// What a sum should be and the sum of the absolute terms.
struct Sums {
  Sums(int rows, int cols) : want(rows, cols), size(rows, cols) {}
  void add(int r, int c, double term) {
    want(r, c) += term;
    size(r, c) += std::abs(term);
  }
  Matrix<double> want, size;
};

/// A sum of n terms is off by at most √n ulp of the root of their squares, so by few ulp of the sum of their sizes.
template <class T>
void require_sums(const std::string& name, const Matrix<T>& got, const Sums& sums) {
  require_close<T>(name, got, 4, sums.want, sums.size);
}

}  // namespace cpu_support
