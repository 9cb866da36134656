// Definitions of what io/mapped_file.hpp declares.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/io/platform.hpp"

namespace neural_attention::io {

NEURAL_ATTENTION_INLINE void refuse_lfs_pointer(std::string_view bytes, const std::string& path) {
  if (bytes.starts_with("version https://git-lfs.github.com/spec/"))
    throw FileError(path, "is a pointer of Git LFS in place of the file; 'git lfs pull' downloads the file itself");
}

NEURAL_ATTENTION_INLINE MappedFile::MappedFile(std::filesystem::path path)
    : path_(std::move(path)), mapping_(platform::map_read_only(path_)) {
  refuse_lfs_pointer({reinterpret_cast<const char*>(mapping_.data), mapping_.size}, path_.string());
}

NEURAL_ATTENTION_INLINE MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(mapping_, other.mapping_);
  return *this;
}

NEURAL_ATTENTION_INLINE MappedFile::~MappedFile() { platform::unmap(mapping_); }

NEURAL_ATTENTION_INLINE void MappedFile::release(std::size_t offset, std::size_t size) const {
  if (offset > mapping_.size || size > mapping_.size - offset) {
    throw FileError(path_.string(), "cannot release " + std::to_string(size) + " bytes at " + std::to_string(offset) +
                                        " of a file of " + std::to_string(mapping_.size));
  }
  if (size > 0) platform::release_pages(mapping_, offset, size);
}

}  // namespace neural_attention::io
