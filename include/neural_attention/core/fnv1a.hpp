// FNV-1a (Fowler, Noll and Vo; RFC 9923), 64 bits: finds changes by accident, not by an adversary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

class Fnv1a {
 public:
  /// Takes in a byte, or a larger number at once.
  void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3u; }

  /// 16 hexadecimal digits: "8f0c6a3bd0f5e921".
  std::string digits() const {
    std::string digits(16, '0');
    for (std::size_t i = 0; i < digits.size(); ++i) digits[i] = "0123456789abcdef"[hash_ >> (60 - 4 * i) & 15u];
    return digits;
  }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace neural_attention
