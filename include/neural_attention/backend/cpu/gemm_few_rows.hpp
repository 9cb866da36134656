// Products with few rows of A: for so few, packing B would cost more than the product. What decoding one sentence
// consists of.
#pragma once

#include <algorithm>

#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/gemm_kernel.hpp"

namespace neural_attention::cpu_gemm {

inline constexpr int few_rows = 8;

/// C [Count, n] = addend + A [Count, k] Bᵀ, B [n, k]: every row of B is read once.
template <int Count, class T>
void dot_rows(int n, int k, Operand<T> a, Operand<T> b, Addend<T> addend, T* c, std::ptrdiff_t c_stride) {
  using Block = cpu_blocks::Block<T>;
  constexpr int size = cpu_blocks::block_size;
  for (int j = 0; j < n; ++j) {
    const T* const row = b.data + j * b.stride;
    Block sums[Count];
    unrolled<Count>([&](auto i) { sums[i].setZero(); });
    int p = 0;
    for (; p + size <= k; p += size) {
      const Block factor = Eigen::Map<const Block>(row + p);
      unrolled<Count>([&](auto i) { sums[i] += factor * Eigen::Map<const Block>(a.data + i * a.stride + p); });
    }
    unrolled<Count>([&](auto i) {
      T sum = sums[i].sum();
      for (int q = p; q < k; ++q) sum += a.data[i * a.stride + q] * row[q];
      c[i * c_stride + j] = addend.data ? sum + addend.data[i * addend.stride + j] : sum;
    });
  }
}

/// C [m, n] = addend + A [m, k] Bᵀ, B [n, k].
template <class T>
void multiply_few_rows(int m, int n, int k, Operand<T> a, Operand<T> b, Addend<T> addend, T* c,
                       std::ptrdiff_t c_stride) {
  constexpr int strip = 64;  // rows of B that stay in cache for all rows of A
  for (int j = 0; j < n; j += strip) {
    const int width = std::min(strip, n - j);
    const auto part = b.at(0, j);
    for (int i = 0; i < m; i += 4) {
      const auto rows = a.at(i, 0);
      const auto sum = addend.at(i, j);
      T* const out = c + i * c_stride + j;
      switch (std::min(4, m - i)) {
        case 4:
          dot_rows<4>(width, k, rows, part, sum, out, c_stride);
          break;
        case 3:
          dot_rows<3>(width, k, rows, part, sum, out, c_stride);
          break;
        case 2:
          dot_rows<2>(width, k, rows, part, sum, out, c_stride);
          break;
        default:
          dot_rows<1>(width, k, rows, part, sum, out, c_stride);
      }
    }
  }
}

}  // namespace neural_attention::cpu_gemm
