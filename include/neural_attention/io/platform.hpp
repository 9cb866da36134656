// The operating system's part of file input and output, and the only header of io/ that calls it: POSIX.
// Another system replaces this file behind the same names. Every function throws FileError with the system's own
// text; `path` is the name that the user knows, which for a temporary file is the name of the file it will become.
#pragma once

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::io::platform {

using Path = std::filesystem::path;

/// Throws FileError for the call that failed last: "<path>: cannot <action>: <text of errno>".
[[noreturn]] void fail(const Path& path, const std::string& action, int code = errno);

/// Owns an open file.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  FileHandle(FileHandle&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();

  bool is_open() const noexcept { return descriptor_ >= 0; }
  int descriptor() const noexcept { return descriptor_; }

  /// Closes the file and reports errors that the destructor would hide (network file systems write late).
  void close(const Path& path);

 private:
  int descriptor_ = -1;
};

std::string process_id();

/// Creates `file` for writing; returns a closed handle if it exists already.
FileHandle create_new(const Path& file, const Path& path);

/// Opens `file` for writing, following links: a regular file is emptied or made, anything else is written through.
FileHandle open_to_write(const Path& file, const Path& path);

/// Whether the process may write to an existing file, or make files in an existing folder; errno says why not.
bool may_write(const Path& path) noexcept;

/// Whether `path` leads to the file behind an open descriptor.
bool is_open_at(const Path& path, int descriptor) noexcept;

/// Writes all of `data`. Waits if the descriptor is not blocking.
void write_all(int descriptor, const void* data, std::size_t size, const Path& path);

void write_all(const FileHandle& file, const void* data, std::size_t size, const Path& path);

/// Reads at most `size` bytes and returns their number; 0 is the end. Waits if the descriptor is not blocking.
std::size_t read_some(int descriptor, void* to, std::size_t size, const Path& path);

/// Returns when the file's bytes are on the device.
void flush_to_device(const FileHandle& file, const Path& path);

/// Renames `temporary` to `path` in one step, replacing an older file.
void rename_over(const Path& temporary, const Path& path);

/// Makes a rename in the folder of `path` survive a power failure. Folders that cannot be opened for reading, and file
/// systems that cannot flush a folder, are left alone: the file itself is complete and in place.
void flush_folder(const Path& path);

/// Locks a file, which is made if there is none, for this process until the handle closes or the process ends. Returns
/// a closed handle if another process has the lock. A file system without locks gives it to everyone. Throws FileError
/// if the file cannot be opened.
FileHandle lock_file(const Path& file);

/// The same for a folder. On NFS and its like, where hosts do not see each other's locks of folders, locks the file
/// `.lock` in it.
FileHandle lock_folder(const Path& folder);

/// Removes a file; a failure is ignored, for destructors.
void remove_quietly(const Path& file) noexcept;

/// A read-only mapping. An empty file has `data == nullptr`.
struct Mapping {
  const std::byte* data = nullptr;
  std::size_t size = 0;
};

/// Maps a regular file. The descriptor is closed again; the mapping keeps the file's bytes reachable even when another
/// file takes its name.
Mapping map_read_only(const Path& path);

void unmap(const Mapping& mapping) noexcept;

/// Lets the system reclaim the pages of bytes [offset, offset + size), which must lie in the mapping. The page in which
/// the range ends stays (its rest is likely to be read next) unless it is the file's last page. The bytes remain
/// readable. This is only a hint, so failures are ignored.
void release_pages(const Mapping& mapping, std::size_t offset, std::size_t size) noexcept;

}  // namespace neural_attention::io::platform

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/platform.hpp"
#endif
