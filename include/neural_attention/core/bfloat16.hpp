// bfloat16: the upper half of a float, with the same exponents but only 8 bits of precision. Numbers are stored in this
// type and computed as floats, so it has conversions and no arithmetic. Host and device code may use it.
#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// x rounded to 8 bits, to nearest, ties to even. A NaN stays NaN; a number that is too large becomes infinite.
constexpr float round_to_bfloat16(float x) {
  constexpr std::uint32_t upper_half = 0xffff0000u,
                          quiet = 0x00400000u;  // keeps a NaN whose bits are all in the lower half
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  return std::bit_cast<float>((x == x ? rounded : bits | quiet) & upper_half);
}

class bfloat16 {
 public:
  bfloat16() = default;
  /// Converts through float.
  template <class N>
  requires std::is_arithmetic_v<N>
  constexpr explicit bfloat16(N x)
      : bits_(
            static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(round_to_bfloat16(static_cast<float>(x))) >> 16)) {}

  constexpr explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits_} << 16); }
  constexpr explicit operator double() const { return static_cast<double>(static_cast<float>(*this)); }

  static constexpr bfloat16 from_bits(std::uint16_t bits) {
    bfloat16 result(0.0f);
    result.bits_ = bits;
    return result;
  }
  constexpr std::uint16_t bits() const { return bits_; }

  constexpr bfloat16 operator-() const { return from_bits(static_cast<std::uint16_t>(bits_ ^ 0x8000u)); }
  friend constexpr bool operator==(bfloat16 a, bfloat16 b) { return static_cast<float>(a) == static_cast<float>(b); }
  friend constexpr std::partial_ordering operator<=>(bfloat16 a, bfloat16 b) {
    return static_cast<float>(a) <=> static_cast<float>(b);
  }

 private:
  std::uint16_t bits_;
};

using bf16 = bfloat16;

}  // namespace neural_attention

/// The same as for float, except for values that depend on the number of bits.
template <>
struct std::numeric_limits<neural_attention::bfloat16> : std::numeric_limits<float> {
  static constexpr int digits = 8, digits10 = 2, max_digits10 = 4;
  static constexpr neural_attention::bfloat16 min() noexcept { return of(0x0080); }
  static constexpr neural_attention::bfloat16 max() noexcept { return of(0x7f7f); }
  static constexpr neural_attention::bfloat16 lowest() noexcept { return of(0xff7f); }
  static constexpr neural_attention::bfloat16 epsilon() noexcept { return of(0x3c00); }  // 2^-7
  static constexpr neural_attention::bfloat16 round_error() noexcept { return of(0x3f00); }
  static constexpr neural_attention::bfloat16 infinity() noexcept { return of(0x7f80); }
  static constexpr neural_attention::bfloat16 quiet_NaN() noexcept { return of(0x7fc0); }
  static constexpr neural_attention::bfloat16 signaling_NaN() noexcept { return of(0x7fa0); }
  static constexpr neural_attention::bfloat16 denorm_min() noexcept { return of(0x0001); }

 private:
  static constexpr neural_attention::bfloat16 of(std::uint16_t bits) {
    return neural_attention::bfloat16::from_bits(bits);
  }
};
