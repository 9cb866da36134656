// A short name for what a run depends on: 64 bits of FNV-1a (Fowler, Noll and Vo; RFC 9923), which finds changes by
// accident and not those of an adversary.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::study {

class Fingerprint {
 public:
  /// Adds a field. Fields ("a", "bc") and ("ab", "c") differ.
  void add(std::string_view field);
  /// Adds the bytes of a file and their number. Throws FileError.
  void add_file(const std::filesystem::path& path);

  /// 16 hexadecimal digits.
  std::string text() const;

 private:
  void bytes(const void* data, std::size_t size);

  std::uint64_t state_ = 0xcbf29ce484222325u;
};

/// Of a file, or of the files directly inside a folder with their names. Throws FileError.
std::string fingerprint_of(const std::filesystem::path& path);

}  // namespace neural_attention::study

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/study/impl/fingerprint.hpp"
#endif
