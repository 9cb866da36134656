// Files that are either the old one or the complete new one, never a part: bytes go to a temporary file in the same
// folder, named <path>.tmp.<pid>, are flushed to the device, and only then take the name. A full disk or a kill leaves
// the old file untouched.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/platform.hpp"

namespace neural_attention::io {

/// Writes one file and puts it in place with `commit()`. Without a commit the destructor removes the temporary file.
/// Every call throws FileError, naming the path, when the system refuses (no such folder, no permission, disk full).
/// Writers of the same path do not disturb each other; the last commit wins.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  ~AtomicFile();

  /// Unbuffered: one system call for each call, so write large pieces.
  void write(const void* data, std::size_t size);

  void write(std::string_view text) { write(text.data(), text.size()); }

  /// To the device, so that little is left for commit().
  void flush();

  /// Flushes, renames, flushes the folder. Nothing can be written afterwards.
  void commit();

  const std::filesystem::path& path() const noexcept { return path_; }
  const std::filesystem::path& temporary_path() const noexcept { return temporary_; }

 private:
  void require_open() const;

  std::filesystem::path path_, temporary_;
  platform::FileHandle file_;
  bool committed_ = false;
};

/// Replaces `path` by a file that holds `text`. Throws FileError; then the old file, if any, is unchanged.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/atomic_file.hpp"
#endif
