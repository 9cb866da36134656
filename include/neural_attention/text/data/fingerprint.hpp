// Fingerprint: a short text that identifies sequences of token ids, or of bytes, so that a run recognises its data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "neural_attention/core/fnv1a.hpp"
#include "neural_attention/core/language.hpp"

namespace neural_attention::text {

/// FNV-1a over ids or bytes and lengths.
class Fingerprint {
 public:
  void add(std::span<const int> ids) {
    hash_.mix(ids.size());
    for (const int id : ids) hash_.mix(static_cast<std::uint32_t>(id));
    tokens_ += ids.size();
  }

  void add(std::string_view bytes) {
    hash_.mix(bytes.size());
    for (const char byte : bytes) hash_.mix(static_cast<unsigned char>(byte));
  }

  /// "8f0c6a3bd0f5e921"
  std::string digits() const { return hash_.digits(); }

  /// "400 sequences, 3177 tokens, 8f0c6a3bd0f5e921"; a pair counts as one sequence.
  std::string text(std::size_t sequences) const {
    return std::to_string(sequences) + " sequences, " + std::to_string(tokens_) + " tokens, " + digits();
  }

 private:
  Fnv1a hash_;
  std::size_t tokens_ = 0;
};

}  // namespace neural_attention::text
