// A whole file as a span of bytes, read-only and by memory map: pages are read when touched, and freed when released.
// Replacing the file by rename (as AtomicFile does) does not affect a mapping. Shortening it in place does: for every
// memory map, the system answers a read beyond the new end with a signal.
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

/// Throws FileError if `bytes`, the beginning of a file, is the short text that Git LFS keeps in place of a file that
/// was not downloaded.
void refuse_lfs_pointer(std::string_view bytes, const std::string& path);

/// Maps `path`. Throws FileError if it is missing, unreadable, not a regular file or a pointer of Git LFS. An empty
/// file gives no bytes.
class MappedFile {
 public:
  explicit MappedFile(std::filesystem::path path);

  MappedFile(MappedFile&& other) noexcept
      : path_(std::move(other.path_)), mapping_(std::exchange(other.mapping_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const noexcept { return {mapping_.data, mapping_.size}; }
  const std::filesystem::path& path() const noexcept { return path_; }

  /// Frees the memory of bytes [offset, offset + size) after they were copied. They stay readable. Throws FileError if
  /// the range is not inside the file.
  void release(std::size_t offset, std::size_t size) const;

 private:
  std::filesystem::path path_;
  platform::Mapping mapping_;
};

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/mapped_file.hpp"
#endif
