// Files that are either the old one or the complete new one, never a part: bytes go to a temporary file in the same
// folder, named <path>.tmp.<pid>, are flushed to the device, and only then take the name. A full disk or a kill leaves
// the old file untouched.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/platform.hpp"

namespace neural_attention::io {

/// Writes one file and puts it in place with `commit()`. Without a commit the destructor removes the temporary file.
/// Every call throws FileError, naming the path, when the system refuses (no such folder, no permission, disk full).
/// Writers of the same path do not disturb each other; the last commit wins.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
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

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  ~AtomicFile() {
    if (!committed_) platform::remove_quietly(temporary_);
  }

  /// Unbuffered: one system call for each call, so write large pieces.
  void write(const void* data, std::size_t size) {
    require_open();
    platform::write_all(file_, data, size, path_);
  }

  void write(std::string_view text) { write(text.data(), text.size()); }

  /// To the device, so that little is left for commit().
  void flush() {
    require_open();
    platform::flush_to_device(file_, path_);
  }

  /// Flushes, renames, flushes the folder. Nothing can be written afterwards.
  void commit() {
    require_open();
    platform::flush_to_device(file_, path_);
    file_.close(path_);
    platform::rename_over(temporary_, path_);
    committed_ = true;
    platform::flush_folder(path_);
  }

  const std::filesystem::path& path() const noexcept { return path_; }
  const std::filesystem::path& temporary_path() const noexcept { return temporary_; }

 private:
  void require_open() const {
    if (!file_.is_open()) throw FileError(path_.string(), "is already closed and takes no more data");
  }

  std::filesystem::path path_, temporary_;
  platform::FileHandle file_;
  bool committed_ = false;
};

/// Replaces `path` by a file that holds `text`. Throws FileError; then the old file, if any, is unchanged.
inline void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace neural_attention::io
