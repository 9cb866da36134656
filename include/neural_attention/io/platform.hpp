// The operating system's part of file input and output, and the only header of io/ that calls it: POSIX.
// Another system replaces this file behind the same names. Every function throws FileError with the system's own
// text; `path` is the name that the user knows, which for a temporary file is that of the file it will become.
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

  /// Closes and reports what the destructor would swallow (network file systems write late).
  void close(const Path& path);

 private:
  int descriptor_ = -1;
};

std::string process_id();

/// Creates `file` for writing; a closed handle where it exists already.
FileHandle create_new(const Path& file, const Path& path);

/// Opens `file` for writing, following links: a regular file is emptied or made, anything else is written through.
FileHandle open_to_write(const Path& file, const Path& path);

/// Whether the process may write to an existing file, or make files in an existing folder; errno says why not.
bool may_write(const Path& path) noexcept;

/// Whether `path` leads to the file behind an open descriptor.
bool is_open_at(const Path& path, int descriptor) noexcept;

/// Writes all of `data`. A descriptor that does not wait by itself is waited for.
void write_all(int descriptor, const void* data, std::size_t size, const Path& path);

void write_all(const FileHandle& file, const void* data, std::size_t size, const Path& path);

/// Reads at most `size` bytes and returns how many; 0 is the end. Waits where the descriptor does not by itself.
std::size_t read_some(int descriptor, void* to, std::size_t size, const Path& path);

/// Returns when the file's bytes are on the device.
void flush_to_device(const FileHandle& file, const Path& path);

/// Gives `temporary` the name `path`, replacing what had it, in one step.
void rename_over(const Path& temporary, const Path& path);

/// Makes a rename in the folder of `path` survive a power failure. Folders that cannot be opened for reading, and file
/// systems that cannot flush a folder, are left alone: the file itself is complete and in place.
void flush_folder(const Path& path);

/// Takes a folder for this process until the handle closes, which the end of the process does as well; a closed handle
/// where another one has it. A file system without locks gives it to everyone. Throws FileError where it cannot be
/// opened.
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

/// Lets the system take back the pages of bytes [offset, offset + size), which must lie in the mapping. The page that
/// the end falls into stays (its rest is likely to be read next) unless it is the file's last. The bytes remain
/// readable; it is a hint, so a failure is ignored.
void release_pages(const Mapping& mapping, std::size_t offset, std::size_t size) noexcept;

}  // namespace neural_attention::io::platform

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/platform.hpp"
#endif
