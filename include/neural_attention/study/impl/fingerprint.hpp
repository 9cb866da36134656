// Definitions of what study/fingerprint.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/study/fingerprint.hpp"

namespace neural_attention::study {

NEURAL_ATTENTION_INLINE void Fingerprint::bytes(const void* data, std::size_t size) {
  const auto* const all = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < size; ++i) state_ = (state_ ^ all[i]) * 0x100000001b3u;
}

NEURAL_ATTENTION_INLINE void Fingerprint::add(std::string_view field) {
  const std::string size = std::to_string(field.size()) + ":";
  bytes(size.data(), size.size());
  bytes(field.data(), field.size());
}

NEURAL_ATTENTION_INLINE void Fingerprint::add_file(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  add({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
}

NEURAL_ATTENTION_INLINE std::string Fingerprint::text() const {
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789abcdef"[state_ >> shift & 15u];
  return digits;
}

NEURAL_ATTENTION_INLINE std::string fingerprint_of(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  Fingerprint result;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    result.add_file(path);
    return result.text();
  }
  std::vector<fs::path> files;
  for (fs::directory_iterator item(path, error), end; !error && item != end; item.increment(error))
    if (std::error_code ignored; item->is_regular_file(ignored)) files.push_back(item->path());
  if (error) throw FileError(path.string(), "cannot be listed: " + error.message());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    result.add(file.filename().string());
    result.add_file(file);
  }
  return result.text();
}

}  // namespace neural_attention::study
