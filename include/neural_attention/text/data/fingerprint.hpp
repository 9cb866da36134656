// Fingerprint: a short text that identifies sequences of token ids, or of bytes, so that a run recognises its data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "neural_attention/core/language.hpp"

namespace neural_attention::text {

/// FNV-1a over ids or bytes and lengths, 64 bits: distinguishes texts, but does not resist an adversary.
class Fingerprint {
 public:
  void add(std::span<const int> ids) {
    mix(ids.size());
    for (const int id : ids) mix(static_cast<std::uint32_t>(id));
    tokens_ += ids.size();
  }

  void add(std::string_view bytes) {
    mix(bytes.size());
    for (const char byte : bytes) mix(static_cast<unsigned char>(byte));
  }

  /// "8f0c6a3bd0f5e921"
  std::string digits() const {
    std::string digits(16, '0');
    for (std::size_t i = 0; i < digits.size(); ++i) digits[i] = "0123456789abcdef"[hash_ >> (60 - 4 * i) & 15u];
    return digits;
  }

  /// "400 sequences, 3177 tokens, 8f0c6a3bd0f5e921"; a pair counts as one sequence.
  std::string text(std::size_t sequences) const {
    return std::to_string(sequences) + " sequences, " + std::to_string(tokens_) + " tokens, " + digits();
  }

 private:
  void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3u; }

  std::uint64_t hash_ = 0xcbf29ce484222325u;
  std::size_t tokens_ = 0;
};

}  // namespace neural_attention::text
