// The interface to matrix products on the CPU. `gemm` computes one tile on one thread with the portable kernel;
// attention uses it. The threads share the large products of linear maps (linear.hpp), which the portable kernel
// computes or, if NEURAL_ATTENTION_GEMM is ONEDNN at configure time, oneDNN.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "neural_attention/backend/cpu/gemm_few_rows.hpp"
#include "neural_attention/backend/cpu/gemm_kernel.hpp"
#if defined(NEURAL_ATTENTION_ONEDNN)
#include "neural_attention/backend/cpu/gemm_onednn.hpp"
#endif

namespace neural_attention::cpu_gemm {

/// C [m, n] = addend + op(A) [m, k] op(B) [k, n] on the calling thread. If the addend is C itself, the product is added
/// to it. A `part` is for m, n and k of at most a tile of attention.
template <class T, class Workspace>
void gemm(int m, int n, int k, Operand<T> a, Operand<T> b, Addend<T> addend, T* c, std::ptrdiff_t c_stride,
          Precision precision, Workspace& workspace, Part part = {}) {
  if (m <= few_rows && !a.transposed && b.transposed && precision == Precision::Float32)
    multiply_few_rows(m, n, k, a, b, addend, c, c_stride);
  else
    packed_gemm(m, n, k, a, b, addend, c, c_stride, numbers_of<T>(precision), workspace, part);
}

/// Boundary `i` of 0 … n cut into `pieces`, at multiples of `unit` so that blocks stay whole.
inline int cut(int n, int pieces, int unit, int i) {
  return i == pieces ? n : static_cast<int>(std::ptrdiff_t{n} * i / pieces / unit * unit);
}

/// How to cut an m × n output with sums of length k into about `wanted` tiles. A cut between columns packs the rows of
/// A once more; a cut between rows reads the packed columns of B once more, which costs a third of that. Takes the
/// cheapest way to cut.
struct Tiling {
  Tiling(int m, int n, int k, int wanted) {
    constexpr double smallest_flops = 2e6;
    constexpr int smallest_rows = 24, smallest_cols = 48, packing = 3;
    wanted = static_cast<int>(std::min<double>(wanted, 2.0 * m * n * k / smallest_flops));
    double least = std::numeric_limits<double>::infinity();
    for (int r = 1; r <= wanted; ++r) {
      const int c = (wanted + r - 1) / r;
      if ((r > 1 && m / r < smallest_rows) || (c > 1 && n / c < smallest_cols)) continue;
      if (const double cost = double(r) * n + double(c) * packing * m; cost < least) {
        least = cost;
        row_tiles = r;
        col_tiles = c;
      }
    }
  }

  int count() const { return row_tiles * col_tiles; }

  int row_tiles = 1;
  int col_tiles = 1;
};

}  // namespace neural_attention::cpu_gemm
