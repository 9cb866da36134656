// Definitions of what study/fingerprint.hpp declares.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/study/fingerprint.hpp"

namespace neural_attention::study {

NEURAL_ATTENTION_INLINE void Fingerprint::add(std::string_view field) {
  for (const char byte : std::to_string(field.size()) + ":") hash_.mix(static_cast<unsigned char>(byte));
  for (const char byte : field) hash_.mix(static_cast<unsigned char>(byte));
}

NEURAL_ATTENTION_INLINE void Fingerprint::add_file(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  add({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
}

NEURAL_ATTENTION_INLINE std::string fingerprint_of(const std::filesystem::path& path,
                                                   const std::filesystem::path& left_out) {
  namespace fs = std::filesystem;
  Fingerprint result;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    result.add_file(path);
    return result.text();
  }
  std::vector<fs::path> files;
  for (fs::directory_iterator item(path, error), end; !error && item != end; item.increment(error))
    if (std::error_code ignored; item->is_regular_file(ignored) && !fs::equivalent(item->path(), left_out, ignored))
      files.push_back(item->path());
  if (error) throw FileError(path.string(), "cannot be listed: " + error.message());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    result.add(file.filename().string());
    result.add_file(file);
  }
  return result.text();
}

}  // namespace neural_attention::study
