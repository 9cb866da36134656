// Products with few rows of A, with the order of sums of gemm_kernel.hpp. For so few rows, packing B would cost more
// than the product. Decoding one sentence consists of such products.
#pragma once

#include <algorithm>
#include <cassert>

#include "neural_attention/backend/cpu/gemm_kernel.hpp"

namespace neural_attention::cpu_gemm {

inline constexpr int few_rows = 8;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // packets as template arguments: their alignment is in the type
#pragma GCC diagnostic ignored "-Wuninitialized"       // in the header of g++ 12 for AVX-512

// Transposing whole vectors takes many shuffles, and many processors have one port for them. If quarters of rows are
// loaded into the lanes of a vector, the rest stays within lanes, and blends do part of it.
#if defined(EIGEN_VECTORIZE_AVX512)
using LaneVector = __m512;
inline __m512 load_lanes(const float* b, std::ptrdiff_t step) {
  __m512 all = _mm512_castps128_ps512(_mm_loadu_ps(b));
  all = _mm512_insertf32x4(all, _mm_loadu_ps(b + step), 1);
  all = _mm512_insertf32x4(all, _mm_loadu_ps(b + 2 * step), 2);
  return _mm512_insertf32x4(all, _mm_loadu_ps(b + 3 * step), 3);
}
inline void transpose_lanes(__m512 r0, __m512 r1, __m512 r2, __m512 r3, auto* columns) {
  const __m512 low01 = _mm512_unpacklo_ps(r0, r1), low23 = _mm512_unpacklo_ps(r2, r3);
  const __m512 high01 = _mm512_unpackhi_ps(r0, r1), high23 = _mm512_unpackhi_ps(r2, r3);
  const __m512 low = _mm512_shuffle_ps(low01, low23, 0x4E), high = _mm512_shuffle_ps(high01, high23, 0x4E);
  columns[0] = _mm512_mask_blend_ps(0xCCCC, low01, low);
  columns[1] = _mm512_mask_blend_ps(0x3333, low23, low);
  columns[2] = _mm512_mask_blend_ps(0xCCCC, high01, high);
  columns[3] = _mm512_mask_blend_ps(0x3333, high23, high);
}
#elif defined(EIGEN_VECTORIZE_AVX)
using LaneVector = __m256;
inline __m256 load_lanes(const float* b, std::ptrdiff_t step) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(b)), _mm_loadu_ps(b + step), 1);
}
inline void transpose_lanes(__m256 r0, __m256 r1, __m256 r2, __m256 r3, auto* columns) {
  const __m256 low01 = _mm256_unpacklo_ps(r0, r1), low23 = _mm256_unpacklo_ps(r2, r3);
  const __m256 high01 = _mm256_unpackhi_ps(r0, r1), high23 = _mm256_unpackhi_ps(r2, r3);
  const __m256 low = _mm256_shuffle_ps(low01, low23, 0x4E), high = _mm256_shuffle_ps(high01, high23, 0x4E);
  columns[0] = _mm256_blend_ps(low01, low, 0xCC);
  columns[1] = _mm256_blend_ps(low23, low, 0x33);
  columns[2] = _mm256_blend_ps(high01, high, 0xCC);
  columns[3] = _mm256_blend_ps(high23, high, 0x33);
}
#else
/// For other processors: never called, but compilers look up the names.
struct LaneVector {};
LaneVector load_lanes(const float* b, std::ptrdiff_t step);
void transpose_lanes(LaneVector r0, LaneVector r1, LaneVector r2, LaneVector r3, auto* columns);
#endif

/// The columns of a square [packet, packet] whose rows begin `stride` apart.
template <class T>
[[gnu::always_inline]] inline auto load_columns(const T* b, std::ptrdiff_t stride) {
  using namespace Eigen::internal;
  using Packet = typename Blocks<T>::Packet;
  constexpr int size = Blocks<T>::packet;
  PacketBlock<Packet, size> square;
  if constexpr (std::is_same_v<Packet, LaneVector>) {
    unrolled<size / 4>([&](auto quarter) {
      const float* const from = b + 4 * quarter;
      const auto lanes = [&](int i) __attribute__((always_inline)) {
        return load_lanes(from + i * stride, 4 * stride);
      };
      transpose_lanes(lanes(0), lanes(1), lanes(2), lanes(3), square.packet + 4 * quarter);
    });
  } else {
    unrolled<size>([&](auto q) { square.packet[q] = ploadu<Packet>(b + q * stride); });
    ptranspose(square);
  }
  return square;
}

/// C [Rows, Packets · packet] = addend + A [Rows, k] Bᵀ, B [Packets · packet, k], k ≤ depth. Transposes squares of B in
/// registers, so that each element of C has its own sum, as in `kernel`. Fetches the block of B at `next` meanwhile:
/// weights come from memory, and their rows are too short for a processor to foresee.
template <class T, int Rows, int Packets>
[[gnu::noinline]] void transposing_kernel(int k, Operand<T> a, Operand<T> b, const T* next, Addend<T> addend, T* c,
                                          std::ptrdiff_t c_stride) {
  using namespace Eigen::internal;
  using Packet = typename Blocks<T>::Packet;
  constexpr int size = Blocks<T>::packet;
  Packet sums[Rows][Packets];
  unrolled<Rows>([&](auto i) { unrolled<Packets>([&](auto j) { sums[i][j] = pset1<Packet>(T(0)); }); });
  const auto add = [&](auto j, int p, const Packet& column) __attribute__((always_inline)) {
    unrolled<Rows>([&](auto i) { sums[i][j] = pmadd(pset1<Packet>(a.data[i * a.stride + p]), column, sums[i][j]); });
  };
  int p = 0;
  for (; p + size <= k; p += size)
    unrolled<Packets>([&](auto j) {
      for (int q = 0; q < size; ++q) __builtin_prefetch(next + (j * size + q) * b.stride + p);
      const auto square = load_columns(b.data + j * size * b.stride + p, b.stride);
      unrolled<size>([&](auto q) { add(j, p + q, square.packet[q]); });
    });
  for (; p < k; ++p)
    unrolled<Packets>([&](auto j) {
      T column[size];
      for (int q = 0; q < size; ++q) column[q] = b.data[(j * size + q) * b.stride + p];
      add(j, p, ploadu<Packet>(column));
    });
  unrolled<Rows>([&](auto i) {
    unrolled<Packets>([&](auto j) {
      Packet sum = sums[i][j];
      if (addend.data) sum = padd(sum, ploadu<Packet>(addend.data + i * addend.stride + j * size));
      pstoreu(c + i * c_stride + j * size, sum);
    });
  });
}
#pragma GCC diagnostic pop

/// How many packets of columns are summed side by side, because each addition waits for the previous one of its sum.
template <class T>
inline constexpr int packets_at_once = Blocks<T>::line / Blocks<T>::packet;

/// The same for m rows and `packets` in 1 … packets_at_once.
template <class T>
void multiply_columns(int m, int packets, int k, Operand<T> a, Operand<T> b, const T* next, Addend<T> addend, T* c,
                      std::ptrdiff_t c_stride) {
  using Kernel = void (*)(int, Operand<T>, Operand<T>, const T*, Addend<T>, T*, std::ptrdiff_t);
  constexpr int rows = Blocks<T>::rows, most = packets_at_once<T>;
  static constexpr auto kernels = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<Kernel, sizeof...(I)>{transposing_kernel<T, I / most + 1, I % most + 1>...};
  }
  (std::make_integer_sequence<int, rows * most>{});
  for (int i = 0; i < m; i += rows) {
    const int height = std::min(rows, m - i);
    kernels[static_cast<std::size_t>((height - 1) * most + packets - 1)](k, a.at(i, 0), b, next, addend.at(i, 0),
                                                                         c + i * c_stride, c_stride);
  }
}

/// The same for fewer columns than a packet has; zeros fill the missing columns.
template <class T>
void multiply_last_columns(int m, int n, int k, Operand<T> a, Operand<T> b, Addend<T> addend, T* c,
                           std::ptrdiff_t c_stride) {
  using B = Blocks<T>;
  T padded[B::packet * B::depth], block[few_rows * B::packet];
  for (int q = 0; q < B::packet; ++q) {
    if (q < n)
      std::copy_n(b.data + q * b.stride, k, padded + q * k);
    else
      std::fill_n(padded + q * k, k, T(0));
  }
  multiply_columns(m, 1, k, a, {padded, k, true}, padded, {}, block, B::packet);
  for (int i = 0; i < m; ++i)
    for (int q = 0; q < n; ++q) {
      const T sum = block[i * B::packet + q];
      c[i * c_stride + q] = addend.data ? sum + addend.data[i * addend.stride + q] : sum;
    }
}

/// C [m, n] = addend + A [m, k] Bᵀ, B [n, k].
template <class T>
void multiply_few_rows(int m, int n, int k, Operand<T> a, Operand<T> b, Addend<T> addend, T* c,
                       std::ptrdiff_t c_stride) {
  using B = Blocks<T>;
  assert(k > 0);
  for (int j = 0, cols = 0; j < n; j += cols) {
    const int packets = std::min(packets_at_once<T>, (n - j) / B::packet);
    cols = packets > 0 ? packets * B::packet : n - j;
    for_each_block<T>(k, [&](int p, int depth) {
      const auto sum = p > 0 ? Addend<T>{c + j, c_stride} : addend.at(0, j);
      // The block that is read after this one; after the last of a tile, what another tile may begin with.
      const auto next = p + depth < k ? b.at(p + depth, j) : b.at(0, j + cols);
      if (packets > 0)
        multiply_columns(m, packets, depth, a.at(0, p), b.at(p, j), next.data, sum, c + j, c_stride);
      else
        multiply_last_columns(m, cols, depth, a.at(0, p), b.at(p, j), sum, c + j, c_stride);
    });
  }
}

}  // namespace neural_attention::cpu_gemm
