// A short name for what a run depends on: FNV-1a over its fields and files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "neural_attention/core/fnv1a.hpp"

namespace neural_attention::study {

class Fingerprint {
 public:
  /// Adds a field. Fields ("a", "bc") and ("ab", "c") differ.
  void add(std::string_view field);
  /// Adds the bytes of a file and their number. Throws FileError.
  void add_file(const std::filesystem::path& path);

  /// 16 hexadecimal digits.
  std::string text() const { return hash_.digits(); }

 private:
  Fnv1a hash_;
};

/// Of a file, or of the files directly inside a folder with their names, except the file `left_out`. Throws FileError.
std::string fingerprint_of(const std::filesystem::path& path, const std::filesystem::path& left_out = {});

}  // namespace neural_attention::study

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/study/impl/fingerprint.hpp"
#endif
