// A whole file as a span of bytes, read-only and by memory map: pages come when touched, and go again when released.
// Replacing the file by rename (as AtomicFile does) is harmless to a mapping. Shortening it in place is not: the system
// answers a read beyond the new end with a signal, as for every memory map.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/platform.hpp"

namespace neural_attention::io {

/// Throws FileError where `bytes`, with which a file begins, are the few lines that Git LFS keeps in place of a file
/// that was not downloaded.
inline void refuse_lfs_pointer(std::string_view bytes, const std::string& path) {
  if (bytes.starts_with("version https://git-lfs.github.com/spec/"))
    throw FileError(path, "is a pointer of Git LFS in place of the file; 'git lfs pull' downloads the file itself");
}

/// Maps `path`. Throws FileError where it is missing, unreadable, not a regular file or a pointer of Git LFS. An empty
/// file gives no bytes.
class MappedFile {
 public:
  explicit MappedFile(std::filesystem::path path) : path_(std::move(path)), mapping_(platform::map_read_only(path_)) {
    refuse_lfs_pointer({reinterpret_cast<const char*>(mapping_.data), mapping_.size}, path_.string());
  }

  MappedFile(MappedFile&& other) noexcept
      : path_(std::move(other.path_)), mapping_(std::exchange(other.mapping_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(mapping_, other.mapping_);
    return *this;
  }
  ~MappedFile() { platform::unmap(mapping_); }

  std::span<const std::byte> bytes() const noexcept { return {mapping_.data, mapping_.size}; }
  const std::filesystem::path& path() const noexcept { return path_; }

  /// Gives the memory of bytes [offset, offset + size) back after they were copied. They stay readable.
  /// Throws FileError where the range is not inside the file.
  void release(std::size_t offset, std::size_t size) const {
    if (offset > mapping_.size || size > mapping_.size - offset) {
      throw FileError(path_.string(), "cannot release " + std::to_string(size) + " bytes at " + std::to_string(offset) +
                                          " of a file of " + std::to_string(mapping_.size));
    }
    if (size > 0) platform::release_pages(mapping_, offset, size);
  }

 private:
  std::filesystem::path path_;
  platform::Mapping mapping_;
};

}  // namespace neural_attention::io
