// Products of integers of eight bits: sums [rows, channels] = x wᵀ, x [rows, k] and w [channels, k], all in -127 … 127.
// Every kernel gives the same sums. A unit has the kernels of the instruction sets that it is compiled for; Kernel is
// the fastest. Weights are read where they lie, row after row: a register holds a run of k, and the lanes of a sum are
// added at its end.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "neural_attention/core/quantized_rows.hpp"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace neural_attention::cpu_int8 {

/// Rows of activations begin at multiples of this many bytes; zeros follow a row.
inline constexpr int line = 64;
inline constexpr std::ptrdiff_t padded(int k) { return (std::ptrdiff_t{k} + line - 1) / line * line; }

/// Rounds x · factor to integers, ties to even, and adds `offset`, 0 or 128. Zeros follow up to padded(k).
inline void round_row(const float* x, int k, float factor, int offset, std::uint8_t* out) {
  int i = 0;
#if defined(__AVX512BW__)
  const __m512 by = _mm512_set1_ps(factor);
  const __m128i flip = _mm_set1_epi8(static_cast<char>(offset));
  for (; i < k; i += 16) {
    const auto lanes = static_cast<__mmask16>(k - i >= 16 ? 0xFFFF : (1 << (k - i)) - 1);
    const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, x + i), by));
    const __m128i bytes = _mm_maskz_add_epi8(lanes, _mm512_cvtepi32_epi8(rounded), flip);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), bytes);
  }
#elif defined(__AVX2__)
  const __m256 by = _mm256_set1_ps(factor);
  const __m256i flip = _mm256_set1_epi8(static_cast<char>(offset));
  const auto eight = [&](int at) { return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + at), by)); };
  for (; i + 32 <= k; i += 32) {
    const __m256i low = _mm256_packs_epi32(eight(i), eight(i + 8)),
                  high = _mm256_packs_epi32(eight(i + 16), eight(i + 24));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), _mm256_add_epi8(bytes, flip));
  }
#endif
  for (; i < k; ++i) out[i] = static_cast<std::uint8_t>(std::lrint(x[i] * factor) + offset);
  std::fill(out + std::min<std::ptrdiff_t>(i, padded(k)), out + padded(k), std::uint8_t{0});
}

/// Quantised activations [rows, k], rows padded(k) bytes apart.
struct Left {
  const std::uint8_t* data;
  int rows;
  int k;

  const std::uint8_t* row(int i) const { return data + i * padded(k); }
};

/// Plain loops.
struct Portable {
  static constexpr const char* name = "plain loops";
  static constexpr int offset = 0;  ///< what activations are stored with

  /// sums [x.rows, count] of the channels from `first` on; rows of sums begin `stride` apart.
  static void multiply(const Left& x, const QuantizedRows& w, int first, int count, std::int32_t* sums,
                       std::ptrdiff_t stride) {
    for (int j = 0; j < count; ++j) {
      const std::int8_t* const right = w.row(first + j);
      for (int i = 0; i < x.rows; ++i) {
        const auto* const left = reinterpret_cast<const std::int8_t*>(x.row(i));
        std::int32_t sum = 0;
        for (int p = 0; p < x.k; ++p) sum += std::int32_t{left[p]} * right[p];
        sums[i * stride + j] = sum;
      }
    }
  }
};

#if defined(__AVX2__)

/// Blocks of sums in registers. `V` has the vectors of an instruction set:
///   Vector, bytes           a register and how many integers it holds
///   offset                  what activations are stored with
///   rows                    of a block
///   load, load_part         of weights, of a run that ends early
///   Left, left              a run of activations as dot() wants it
///   dot(sum, x, w)          adds products, four neighbours to a lane
///   four(a, b, c, d)        the sums of the lanes of each
template <class V>
struct Blocks {
  static constexpr const char* name = V::name;
  static constexpr int offset = V::offset;

  static void multiply(const Left& x, const QuantizedRows& w, int first, int count, std::int32_t* sums,
                       std::ptrdiff_t stride) {
    for (int i = 0; i < x.rows; i += V::rows) {
      std::int32_t* const to = sums + i * stride;
      switch (std::min(V::rows, x.rows - i)) {
        case 1:
          multiply_rows<1>(x, i, w, first, count, to, stride);
          break;
        case 2:
          multiply_rows<2>(x, i, w, first, count, to, stride);
          break;
        case 3:
          multiply_rows<3>(x, i, w, first, count, to, stride);
          break;
        default:
          multiply_rows<V::rows>(x, i, w, first, count, to, stride);
      }
    }
  }

 private:
  static constexpr int cols = 4;

  template <int Rows>
  static void multiply_rows(const Left& x, int i, const QuantizedRows& w, int first, int count, std::int32_t* sums,
                            std::ptrdiff_t stride) {
    int j = 0;
    for (; j + cols <= count; j += cols) block<Rows, cols>(x.row(i), padded(x.k), w, first + j, sums + j, stride);
    for (; j < count; ++j) block<Rows, 1>(x.row(i), padded(x.k), w, first + j, sums + j, stride);
  }

  template <int Rows, int Cols>
  [[gnu::noinline]] static void block(const std::uint8_t* x, std::ptrdiff_t x_stride, const QuantizedRows& w, int first,
                                      std::int32_t* sums, std::ptrdiff_t stride) {
    using Vector = typename V::Vector;
    const int k = w.cols;
    const std::int8_t* const right = w.row(first);
    Vector sum[Rows][Cols];
    for (int i = 0; i < Rows; ++i)
      for (int j = 0; j < Cols; ++j) sum[i][j] = V::zero();
    const auto add = [&](int p, auto&& load) __attribute__((always_inline)) {
      typename V::LeftVector left[Rows];
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) left[i] = V::left(x + i * x_stride + p);
#pragma GCC unroll 8
      for (int j = 0; j < Cols; ++j) {
        const Vector weights = load(right + std::ptrdiff_t{j} * k + p);
#pragma GCC unroll 8
        for (int i = 0; i < Rows; ++i) sum[i][j] = V::dot(sum[i][j], left[i], weights);
      }
    };
    int p = 0;
    for (; p + V::bytes <= k; p += V::bytes) add(p, [](const std::int8_t* from) { return V::load(from); });
    if (p < k) add(p, [rest = k - p](const std::int8_t* from) { return V::load_part(from, rest); });
    for (int i = 0; i < Rows; ++i) {
      if constexpr (Cols == 4) {
        __m128i four = V::four(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
        if constexpr (V::offset == 128) {
          const __m128i of_weights = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w.sums + first));
          four = _mm_sub_epi32(four, _mm_slli_epi32(of_weights, 7));
        }
        _mm_storeu_si128(reinterpret_cast<__m128i*>(sums + i * stride), four);
      } else {
        const std::int32_t one = _mm_cvtsi128_si32(V::four(sum[i][0], V::zero(), V::zero(), V::zero()));
        sums[i * stride] = static_cast<std::int32_t>(static_cast<std::uint32_t>(one) -
                                                     static_cast<std::uint32_t>(V::offset * w.sums[first]));
      }
    }
  }
};

/// What the instruction sets with registers of 32 bytes share.
struct Vectors256 {
  using Vector = __m256i;
  static constexpr int bytes = 32;

  static Vector zero() { return _mm256_setzero_si256(); }
  static Vector load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
  static Vector load_part(const void* from, int count) {
    alignas(32) std::int8_t run[32] = {};
    std::memcpy(run, from, static_cast<std::size_t>(count));
    return load(run);
  }
  static __m128i four(Vector a, Vector b, Vector c, Vector d) {
    const Vector sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  }
};

/// vpmaddubsw multiplies unsigned by signed integers: |x| by w with the sign of x. Two such products, 2 · 127², fit
/// into 16 bits. Four rows share what is read of the weights, and while a block is at work, one further on is fetched:
/// its rows are too short for the processor to foresee.
struct Avx2 {
  static constexpr const char* name = "AVX2";
  static constexpr int offset = 0;

  static void multiply(const Left& x, const QuantizedRows& w, int first, int count, std::int32_t* sums,
                       std::ptrdiff_t stride) {
    for (int i = 0; i < x.rows; i += rows) {
      const Left part{x.row(i), std::min(rows, x.rows - i), x.k};
      std::int32_t* const to = sums + i * stride;
      if (part.rows == 1) multiply_rows<1>(part, w, first, count, to, stride);
      if (part.rows == 2) multiply_rows<2>(part, w, first, count, to, stride);
      if (part.rows == 3) multiply_rows<3>(part, w, first, count, to, stride);
      if (part.rows == 4) multiply_rows<4>(part, w, first, count, to, stride);
    }
  }

 private:
  using V = Vectors256;
  static constexpr int rows = 4, cols = 2;
  static constexpr std::ptrdiff_t fetched = 2048;  // bytes ahead, at least

  template <int Rows>
  static void multiply_rows(const Left& x, const QuantizedRows& w, int first, int count, std::int32_t* sums,
                            std::ptrdiff_t stride) {
    int j = 0;
    for (; j + cols <= count; j += cols) block<Rows, cols>(x, w.row(first + j), sums + j, stride);
    for (; j < count; ++j) block<Rows, 1>(x, w.row(first + j), sums + j, stride);
  }

  /// Calls use(0), use(1), … with constants: arrays whose places are constants stay in registers.
  template <int Count>
  [[gnu::always_inline]] static void unrolled(auto&& use) {
    [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
      (use(std::integral_constant<int, I>()), ...);
    }
    (std::make_integer_sequence<int, Count>());
  }

  /// Otherwise g++ loads a number again wherever it is used, and moves sums to memory to add in another order.
  [[gnu::always_inline]] static __m256i in_register(__m256i value) {
    asm("" : "+x"(value));
    return value;
  }

  template <int Rows, int Cols>
  [[gnu::noinline]] static void block(const Left& x, const std::int8_t* w, std::int32_t* sums, std::ptrdiff_t stride) {
    const int k = x.k;
    const std::ptrdiff_t block_bytes = std::ptrdiff_t{Cols} * std::max(k, 1),
                         ahead = (fetched + block_bytes - 1) / block_bytes * block_bytes, x_stride = padded(k);
    const __m256i one = _mm256_set1_epi16(1);
    __m256i sum[Rows][Cols];
    unrolled<Rows>([&](auto i) { unrolled<Cols>([&](auto j) { sum[i][j] = V::zero(); }); });
    const auto add = [&](int p, auto&& load) __attribute__((always_inline)) {
      __m256i weights[Cols];
      unrolled<Cols>([&](auto j) __attribute__((always_inline)) {
        weights[j] = in_register(load(w + std::ptrdiff_t{j} * k + p));
      });
      unrolled<Rows>([&](auto i) __attribute__((always_inline)) {
        const __m256i left = in_register(V::load(x.data + i * x_stride + p)), magnitude = _mm256_abs_epi8(left);
        unrolled<Cols>([&](auto j) __attribute__((always_inline)) {
          const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(weights[j], left));
          sum[i][j] = in_register(_mm256_add_epi32(sum[i][j], _mm256_madd_epi16(pairs, one)));
        });
      });
    };
    const auto whole = [](const std::int8_t* from) { return V::load(from); };
    int p = 0;
    for (; p + line <= k; p += line) {
      for (int j = 0; j < Cols; ++j) __builtin_prefetch(w + std::ptrdiff_t{j} * k + p + ahead);
      add(p, whole);
      add(p + V::bytes, whole);
    }
    if (p + V::bytes <= k) {
      add(p, whole);
      p += V::bytes;
    }
    if (p < k) add(p, [rest = k - p](const std::int8_t* from) { return V::load_part(from, rest); });
    unrolled<Rows>([&](auto i) {
      const __m128i found = V::four(sum[i][0], sum[i][Cols - 1], V::zero(), V::zero());
      std::memcpy(sums + i * stride, &found, Cols * sizeof(std::int32_t));
    });
  }
};

#if defined(__AVXVNNI__)
/// vpdpbusd multiplies unsigned by signed integers. Activations are stored with 128 added, and 128 · the sum of the
/// weights is subtracted.
struct AvxVnniVectors : Vectors256 {
  static constexpr const char* name = "AVX-VNNI";
  static constexpr int offset = 128, rows = 2;
  using LeftVector = Vector;
  static LeftVector left(const std::uint8_t* from) { return load(from); }
  static Vector dot(Vector sum, Vector x, Vector w) { return _mm256_dpbusd_avx_epi32(sum, x, w); }
};
using AvxVnni = Blocks<AvxVnniVectors>;
#endif

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
/// The same with registers of 64 bytes.
struct Avx512VnniVectors {
  static constexpr const char* name = "AVX-512 VNNI";
  using Vector = __m512i;
  static constexpr int bytes = 64, offset = 128, rows = 4;
  using LeftVector = Vector;

  static Vector zero() { return _mm512_setzero_si512(); }
  static Vector load(const void* from) { return _mm512_loadu_si512(from); }
  static Vector load_part(const void* from, int count) {
    return _mm512_maskz_loadu_epi8((std::uint64_t{1} << count) - 1, from);
  }
  static LeftVector left(const std::uint8_t* from) { return load(from); }
  static Vector dot(Vector sum, Vector x, Vector w) { return _mm512_dpbusd_epi32(sum, x, w); }
  static __m128i four(Vector a, Vector b, Vector c, Vector d) {
    const auto pairs = [](Vector one, Vector other) {
      return _mm512_add_epi32(_mm512_unpacklo_epi32(one, other), _mm512_unpackhi_epi32(one, other));
    };
    const Vector ab = pairs(a, b), cd = pairs(c, d);
    const Vector all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }
};
using Avx512Vnni = Blocks<Avx512VnniVectors>;
#endif
#endif

/// use(kernel) with an object of each kernel that this unit has.
void for_each_kernel(auto&& use) {
  use(Portable());
#if defined(__AVX2__)
  use(Avx2());
#if defined(__AVXVNNI__)
  use(AvxVnni());
#endif
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
  use(Avx512Vnni());
#endif
#endif
}

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
using Kernel = Avx512Vnni;
#elif defined(__AVXVNNI__)
using Kernel = AvxVnni;
#elif defined(__AVX2__)
using Kernel = Avx2;
#else
using Kernel = Portable;
#endif

}  // namespace neural_attention::cpu_int8
