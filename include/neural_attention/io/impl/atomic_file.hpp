// Definitions of what io/atomic_file.hpp declares.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/platform.hpp"

namespace neural_attention::io {

NEURAL_ATTENTION_INLINE AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  if (!path_.has_filename()) throw FileError(path_.string(), "names no file");
  std::error_code ignored;
  if (std::filesystem::is_directory(path_, ignored)) throw FileError(path_.string(), "is a folder, not a file");
  // The name may be taken by another writer of this process, or by a killed one that had the same process id.
  constexpr int attempts = 1000;
  for (int attempt = 0; attempt < attempts && !file_.is_open(); ++attempt) {
    temporary_ = path_;
    temporary_ += ".tmp." + platform::process_id() + (attempt == 0 ? "" : "." + std::to_string(attempt));
    file_ = platform::create_new(temporary_, path_);
  }
  if (!file_.is_open()) throw FileError(path_.string(), "has too many temporary files beside it");
}

NEURAL_ATTENTION_INLINE AtomicFile::~AtomicFile() {
  if (!committed_) platform::remove_quietly(temporary_);
}

NEURAL_ATTENTION_INLINE void AtomicFile::write(const void* data, std::size_t size) {
  require_open();
  platform::write_all(file_, data, size, path_);
}

NEURAL_ATTENTION_INLINE void AtomicFile::flush() {
  require_open();
  platform::flush_to_device(file_, path_);
}

NEURAL_ATTENTION_INLINE void AtomicFile::commit() {
  require_open();
  platform::flush_to_device(file_, path_);
  file_.close(path_);
  platform::rename_over(temporary_, path_);
  committed_ = true;
  platform::flush_folder(path_);
}

NEURAL_ATTENTION_INLINE void AtomicFile::require_open() const {
  if (!file_.is_open()) throw FileError(path_.string(), "is already closed and takes no more data");
}

NEURAL_ATTENTION_INLINE void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace neural_attention::io
