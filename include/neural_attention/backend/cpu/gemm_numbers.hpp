// The numbers that products read: as they are, or rounded to bfloat16 (8 bits) with sums in float. Some processors have
// an instruction that multiplies pairs of bfloat16, vdpbf16ps. For the kernel, a pair is one number as wide as a float:
// a sum of k terms then takes k / 2 steps. Others have AMX, which multiplies tiles of pairs (gemm_tiles.hpp).
//
// vdpbf16ps adds the second product of a pair, rounds, adds the first, and rounds. Float's multiply-adds in the same
// order have the same bits. Only where an operand or a sum is denormal (below 1e-38), the instruction takes it for 0.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "neural_attention/backend/cpu/gemm_blocks.hpp"
#include "neural_attention/core/bfloat16.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/kinds.hpp"
#include "neural_attention/core/quoted.hpp"

#if defined(__AVX512BF16__) && defined(EIGEN_VECTORIZE_AVX512)
#include <immintrin.h>
#define NEURAL_ATTENTION_BFLOAT16_PAIRS 1
#else
#define NEURAL_ATTENTION_BFLOAT16_PAIRS 0
#endif
#if NEURAL_ATTENTION_BFLOAT16_PAIRS && defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#define NEURAL_ATTENTION_BFLOAT16_TILES 1
#else
#define NEURAL_ATTENTION_BFLOAT16_TILES 0
#endif

namespace neural_attention::cpu_gemm {

/// How packed numbers are stored.
enum class Numbers {
  Plain,    ///< as they are
  Rounded,  ///< rounded to bfloat16, as floats; the rows of a pair change places, which gives the order of Pairs
  Pairs,    ///< two rows of bfloat16 in a row of floats, for vdpbf16ps
  Tiles,    ///< the same, padded to whole tiles of 32 terms, for AMX
};

/// The rows that k rows are packed in.
constexpr int steps(Numbers numbers, int k) {
  switch (numbers) {
    case Numbers::Pairs:
      return (k + 1) / 2;
    case Numbers::Tiles:
      return (k + 31) / 32 * 16;
    default:
      return k;
  }
}

/// Long sums are cut at multiples of this many terms.
template <class T>
constexpr int unit_of_terms(Numbers numbers) {
  return numbers == Numbers::Tiles ? 32 : Blocks<T>::packet;
}

/// One step of a sum: sum + left · right.
struct MultiplyAdd {
  template <class Packet>
  [[gnu::always_inline]] static Packet add(const Packet& left, const Packet& right, const Packet& sum) {
    return Eigen::internal::pmadd(left, right, sum);
  }
};

#if NEURAL_ATTENTION_BFLOAT16_PAIRS
/// The same for pairs.
struct PairMultiplyAdd {
  [[gnu::always_inline]] static __m512 add(const __m512& left, const __m512& right, const __m512& sum) {
    return _mm512_dpbf16_ps(sum, std::bit_cast<__m512bh>(left), std::bit_cast<__m512bh>(right));
  }
};
#endif

/// Two numbers of bfloat16 in the place of one float.
constexpr float pair_of(float first, float second) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(first) >> 16 | std::bit_cast<std::uint32_t>(second));
}

/// Packs plain rows in their place among `numbers`, Rounded or Pairs: rows p … p + k - 1, p even, of a strip at
/// `strip`. Rounds `rows` on the way.
template <class T>
void pack_rows(Numbers numbers, int p, int k, int width, T* __restrict rows, T* __restrict strip) {
  if constexpr (std::is_same_v<T, float>) {
    std::transform(rows, rows + std::ptrdiff_t{k} * width, rows, round_to_bfloat16);
    float* out = strip + std::ptrdiff_t{steps(numbers, p)} * width;
    const auto zip = [&](auto columns) {
      for (int step = 0; step + 1 < k; step += 2, rows += 2 * columns)
        if (numbers == Numbers::Pairs) {
          for (int q = 0; q < columns; ++q) out[q] = pair_of(rows[q], rows[columns + q]);
          out += columns;
        } else {
          std::copy_n(rows + columns, int{columns}, out);
          std::copy_n(rows, int{columns}, out + columns);
          out += 2 * columns;
        }
    };
    // Compilers use whole vectors if they know the width.
    if (width == Blocks<T>::rows)
      zip(std::integral_constant<int, Blocks<T>::rows>{});
    else
      zip(width);
    if (k % 2 == 1)
      for (int q = 0; q < width; ++q) out[q] = numbers == Numbers::Pairs ? pair_of(rows[q], 0.0f) : rows[q];
  }
}

/// Rounds of `chains` steps that do not depend on each other: enough that their latency is hidden, few enough for
/// registers.
inline constexpr int chains = 12;

/// Their sum; for measuring.
template <class T, class Step>
[[gnu::noinline]] T run_steps(int rounds) {
  using namespace Eigen::internal;
  using Packet = typename Blocks<T>::Packet;
  const Packet left = pset1<Packet>(T(0.999)), right = pset1<Packet>(T(0.001));
  Packet sums[chains];
  unrolled<chains>([&](auto i) { sums[i] = pset1<Packet>(T(i)); });
  for (int round = 0; round < rounds; ++round)
    unrolled<chains>([&](auto i) { sums[i] = Step::add(left, right, sums[i]); });
  for (int i = 1; i < chains; ++i) sums[0] = padd(sums[0], sums[i]);
  return predux(sums[0]);
}

/// Whether AMX can multiply: the processor has it, and the system lets this process use it, which it must ask for.
inline bool tiles_work() {
#if NEURAL_ATTENTION_BFLOAT16_TILES
  static const bool work = [] {
    constexpr unsigned bfloat16 = 1u << 22, tile = 1u << 24;
    constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & bfloat16) && (d & tile) &&
           ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  }();
  return work;
#else
  return false;
#endif
}

/// What the environment variable NEURAL_ATTENTION_BFLOAT16 asks for: "amx", "instructions" (vdpbf16ps) or "float"; none
/// if it is not set or empty. Throws ConfigError for another value, and for what there is not.
inline std::optional<Numbers> forced_numbers() {
  const char* const forced = std::getenv("NEURAL_ATTENTION_BFLOAT16");
  const std::string_view word = forced ? forced : "";
  if (word.empty()) return {};
  if (word == "float") return Numbers::Rounded;
  if (word != "instructions" && word != "amx")
    throw ConfigError("NEURAL_ATTENTION_BFLOAT16 must be amx, instructions or float, not " + in_quotes(word));
  if (word == "instructions" && !NEURAL_ATTENTION_BFLOAT16_PAIRS)
    throw ConfigError("NEURAL_ATTENTION_BFLOAT16 asks for instructions, but these kernels have none for bfloat16");
  if (word == "amx" && !tiles_work())
    throw ConfigError(NEURAL_ATTENTION_BFLOAT16_TILES
                          ? "NEURAL_ATTENTION_BFLOAT16 asks for amx, which this processor or its system lacks"
                          : "NEURAL_ATTENTION_BFLOAT16 asks for amx, but these kernels have none for it");
  return word == "amx" ? Numbers::Tiles : Numbers::Pairs;
}

/// Measures whether products are faster with vdpbf16ps, of which each multiplies twice as many numbers as one of
/// float's multiply-adds. Zen 4 and 5 begin as many in a cycle, Emerald Rapids a quarter.
inline bool pairs_pay() {
#if NEURAL_ATTENTION_BFLOAT16_PAIRS
  const auto seconds = [](auto run) {
    using Clock = std::chrono::steady_clock;
    constexpr int rounds = 1000, repetitions = 20;
    double best = 1e30;
    for (int repetition = 0; repetition < repetitions; ++repetition) {
      const auto start = Clock::now();
      const float result = run(rounds);
      best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
      asm volatile("" : : "m"(result) : "memory");  // so that it is computed
    }
    return best;
  };
  return seconds(run_steps<float, PairMultiplyAdd>) < 1.5 * seconds(run_steps<float, MultiplyAdd>);
#else
  return false;
#endif
}

/// How products of bfloat16 numbers pack their operands in this process: as forced_numbers() says, which has the
/// errors, or as they are fastest.
inline Numbers bfloat16_numbers() {
  static const Numbers numbers = [] {
    if (const auto forced = forced_numbers()) return *forced;
    return tiles_work() ? Numbers::Tiles : pairs_pay() ? Numbers::Pairs : Numbers::Rounded;
  }();
  return numbers;
}

/// How products of `precision` pack their operands.
template <class T>
Numbers numbers_of(Precision precision) {
  if (!std::is_same_v<T, float> || precision == Precision::Float32) return Numbers::Plain;
  return bfloat16_numbers();
}

}  // namespace neural_attention::cpu_gemm
