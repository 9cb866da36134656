// How far the numbers of two runs are apart.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

/// The largest relative difference; infinite if there are not equally many.
inline double largest_difference(const std::vector<double>& found, const std::vector<double>& expected) {
  double most = found.size() == expected.size() ? 0.0 : INFINITY;
  for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i)
    most = std::max(most, std::abs(found[i] - expected[i]) / std::abs(expected[i]));
  return most;
}
