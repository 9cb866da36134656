// Linear maps on the CPU: y = f(x wᵀ + b) and its gradients, all through one gemm seam: gemm_accumulate computes one
// tile of C += op(A) op(B) on one thread. The output is cut into tiles by shape; the sum over k is never cut, so
// results do not depend on the number of threads. Another engine replaces gemm_accumulate and nothing else.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "neural_attention/backend/cpu/activations.hpp"
#include "neural_attention/backend/cpu/blocks.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

namespace neural_attention {
namespace cpu_gemm {

/// A matrix as stored (row-major) and whether the product reads it transposed.
template <class T>
struct Operand {
  const T* data;
  std::ptrdiff_t stride;
  bool transposed;
};

/// Eigen's blocking, its packed panels placed in memory that we own: Eigen would allocate them at every call.
template <class T>
class Blocking : public Eigen::internal::level3_blocking<T, T> {
 public:
  template <class Workspace>
  Blocking(Eigen::Index rows, Eigen::Index cols, Eigen::Index depth, Workspace& workspace) {
    this->m_mc = rows;
    this->m_nc = cols;
    this->m_kc = depth;
    Eigen::internal::computeProductBlockingSizes<T, T>(this->m_kc, this->m_mc, this->m_nc, Eigen::Index{1});
    const auto a = (this->m_mc * this->m_kc + 63) / 64 * 64;
    const auto b = this->m_kc * this->m_nc;
    this->m_blockA = workspace.reserve(static_cast<std::size_t>(a + b));
    this->m_blockB = this->m_blockA + a;
  }
};

template <class T, int AOrder, int BOrder, class Workspace>
void eigen_gemm(int m, int n, int k, const T* a, std::ptrdiff_t a_stride, const T* b, std::ptrdiff_t b_stride, T* c,
                std::ptrdiff_t c_stride, Workspace& workspace) {
  // Eigen's kernel writes column-major: a row-major C is Cᵀ = op(B)ᵀ op(A)ᵀ, and a row-major operand is a transpose.
  Blocking<T> blocking(n, m, k, workspace);
  Eigen::internal::general_matrix_matrix_product<Eigen::Index, T, BOrder, false, T, AOrder, false, Eigen::ColMajor,
                                                 1>::run(n, m, k, b, b_stride, a, a_stride, c, 1, c_stride, T(1),
                                                         blocking, nullptr);
}

/// C [Count, n] += A [Count, k] Bᵀ, B [n, k]: every row of B is read once.
template <int Count, class T>
void dot_rows(int n, int k, Operand<T> a, Operand<T> b, T* c, std::ptrdiff_t c_stride) {
  using Block = cpu_blocks::Block<T>;
  constexpr int size = cpu_blocks::block_size;
  // The rows of A are unrolled here, so that the sums stay in registers whatever the compiler unrolls by itself.
  const auto for_each_row = [&]<int... I>(std::integer_sequence<int, I...>, auto&& body) { (body(I), ...); };
  constexpr auto rows = std::make_integer_sequence<int, Count>{};
  for (int j = 0; j < n; ++j) {
    const T* const row = b.data + j * b.stride;
    Block sums[Count];
    for_each_row(rows, [&](int i) { sums[i].setZero(); });
    int p = 0;
    for (; p + size <= k; p += size) {
      const Block factor = Eigen::Map<const Block>(row + p);
      for_each_row(rows, [&](int i) { sums[i] += factor * Eigen::Map<const Block>(a.data + i * a.stride + p); });
    }
    for_each_row(rows, [&](int i) {
      T sum = sums[i].sum();
      for (int q = p; q < k; ++q) sum += a.data[i * a.stride + q] * row[q];
      c[i * c_stride + j] += sum;
    });
  }
}

/// For so few rows of A, packing B costs more than the product.
inline constexpr int few_rows = 8;

/// C [m, n] += A [m, k] Bᵀ, B [n, k], for few rows of A: what decoding one sentence consists of.
template <class T>
void multiply_few_rows(int m, int n, int k, Operand<T> a, Operand<T> b, T* c, std::ptrdiff_t c_stride) {
  constexpr int strip = 64;  // rows of B that stay in cache for all rows of A
  for (int j = 0; j < n; j += strip) {
    const int width = std::min(strip, n - j);
    const Operand<T> part{b.data + j * b.stride, b.stride, true};
    for (int i = 0; i < m; i += 4) {
      const Operand<T> rows{a.data + i * a.stride, a.stride, false};
      T* const out = c + i * c_stride + j;
      switch (std::min(4, m - i)) {
        case 4:
          dot_rows<4>(width, k, rows, part, out, c_stride);
          break;
        case 3:
          dot_rows<3>(width, k, rows, part, out, c_stride);
          break;
        case 2:
          dot_rows<2>(width, k, rows, part, out, c_stride);
          break;
        default:
          dot_rows<1>(width, k, rows, part, out, c_stride);
      }
    }
  }
}

/// C [m, n] += op(A) [m, k] op(B) [k, n] on the calling thread.
template <class T, class Workspace>
void gemm_accumulate(int m, int n, int k, Operand<T> a, Operand<T> b, T* c, std::ptrdiff_t c_stride,
                     Workspace& workspace) {
  if (m <= few_rows && !a.transposed && b.transposed) return multiply_few_rows(m, n, k, a, b, c, c_stride);
  constexpr int plain = Eigen::ColMajor, transposed = Eigen::RowMajor;
  const auto call = [&]<int AOrder, int BOrder>() {
    eigen_gemm<T, AOrder, BOrder>(m, n, k, a.data, a.stride, b.data, b.stride, c, c_stride, workspace);
  };
  if (!a.transposed && !b.transposed) call.template operator()<plain, plain>();
  if (!a.transposed && b.transposed) call.template operator()<plain, transposed>();
  if (a.transposed && !b.transposed) call.template operator()<transposed, plain>();
  if (a.transposed && b.transposed) call.template operator()<transposed, transposed>();
}

/// Boundary `i` of 0 … n cut into `pieces`, at multiples of 16 so that vectors stay whole.
inline int cut(int n, int pieces, int i) {
  return i == pieces ? n : static_cast<int>(std::ptrdiff_t{n} * i / pieces / 16 * 16);
}

/// How an m × n output with sums of length k is cut. Every tile packs its rows of A and its columns of B anew, so among
/// the ways to cut into about flops / tile_flops tiles the one with the least packing is taken.
struct Tiling {
  Tiling(int m, int n, int k) {
    constexpr double tile_flops = 64e6, too_small_to_share = 1e6;
    constexpr int fewest = 4, most = 64, smallest = 32;
    const double flops = 2.0 * m * n * k;
    if (flops < too_small_to_share) return;
    const int wanted = static_cast<int>(std::clamp(flops / tile_flops, double(fewest), double(most)));
    double least = std::numeric_limits<double>::infinity();
    for (int r = 1; r <= wanted; ++r) {
      const int c = (wanted + r - 1) / r;
      if ((r > 1 && m / r < smallest) || (c > 1 && n / c < smallest)) continue;
      if (const double packed = double(r) * n + double(c) * m; packed < least) {
        least = packed;
        row_tiles = r;
        col_tiles = c;
      }
    }
  }

  int row_tiles = 1;
  int col_tiles = 1;
};

}  // namespace cpu_gemm

template <class T>
template <class Body>
void Cpu<T>::for_each_tile(int m, int n, int k, Body&& body) {
  const cpu_gemm::Tiling tiling(m, n, k);
  run_tiles(tiling.row_tiles * tiling.col_tiles, [&](int tile, int worker) {
    const int i = tile / tiling.col_tiles, j = tile % tiling.col_tiles;
    const int row = cpu_gemm::cut(m, tiling.row_tiles, i), col = cpu_gemm::cut(n, tiling.col_tiles, j);
    body(row, cpu_gemm::cut(m, tiling.row_tiles, i + 1) - row, col, cpu_gemm::cut(n, tiling.col_tiles, j + 1) - col,
         worker);
  });
}

template <class T>
void Cpu<T>::linear(Matrix x, Matrix w, Matrix bias, Activation f, Matrix y) {
  assert(x.cols == w.cols && y.rows == x.rows && y.cols == w.rows && (!bias || bias.cols == y.cols));
  for_each_tile(y.rows, y.cols, x.cols, [&](int row, int rows, int col, int cols, int worker) {
    const auto out = y.slice(row, rows).columns(col, cols);
    for (int r = 0; r < rows; ++r) {  // the sum starts from the bias
      if (bias)
        std::copy_n(bias.data + col, cols, out.row(r));
      else
        std::fill_n(out.row(r), cols, T(0));
    }
    cpu_gemm::gemm_accumulate<T>(rows, cols, x.cols, {x.row(row), x.stride, false}, {w.row(col), w.stride, true},
                                 out.data, out.stride, packing_[worker]);
    if (f != Activation::Identity)
      for (int r = 0; r < rows; ++r) cpu_elementwise::apply(f, out.row(r), out.row(r), cols);
  });
}

template <class T>
void Cpu<T>::linear_input_gradient(Matrix dy, Matrix w, bool accumulate, Matrix dx) {
  assert(dy.cols == w.rows && dx.rows == dy.rows && dx.cols == w.cols);
  for_each_tile(dx.rows, dx.cols, dy.cols, [&](int row, int rows, int col, int cols, int worker) {
    const auto out = dx.slice(row, rows).columns(col, cols);
    if (!accumulate)
      for (int r = 0; r < rows; ++r) std::fill_n(out.row(r), cols, T(0));
    cpu_gemm::gemm_accumulate<T>(rows, cols, dy.cols, {dy.row(row), dy.stride, false}, {w.data + col, w.stride, false},
                                 out.data, out.stride, packing_[worker]);
  });
}

template <class T>
void Cpu<T>::linear_weight_gradient(Matrix dy, Matrix x, Matrix dw) {
  assert(dy.rows == x.rows && dw.rows == dy.cols && dw.cols == x.cols);
  for_each_tile(dw.rows, dw.cols, dy.rows, [&](int row, int rows, int col, int cols, int worker) {
    const auto out = dw.slice(row, rows).columns(col, cols);
    cpu_gemm::gemm_accumulate<T>(rows, cols, dy.rows, {dy.data + row, dy.stride, true}, {x.data + col, x.stride, false},
                                 out.data, out.stride, packing_[worker]);
  });
}

template <class T>
void Cpu<T>::bias_gradient(Matrix dy, Matrix db) {
  assert(db.cols == dy.cols);
  using Row = Eigen::Map<Eigen::Array<T, 1, Eigen::Dynamic>>;
  constexpr int grain = 64;  // columns: each is summed over all rows by one task
  split(dy.cols, grain, [&](std::ptrdiff_t first, std::ptrdiff_t count, int) {
    Row sum(db.data + first, count);
    for (int r = 0; r < dy.rows; ++r) sum += Row(dy.row(r) + first, count);
  });
}

}  // namespace neural_attention
