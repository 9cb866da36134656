// The operating system's part of file input and output, and the only header of io/ that calls it: POSIX.
// Another system replaces this file behind the same names. Every function throws FileError with the system's own
// text; `path` is the name that the user knows, which for a temporary file is that of the file it will become.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::io::platform {

using Path = std::filesystem::path;

/// Throws FileError for the call that failed last: "<path>: cannot <action>: <text of errno>".
[[noreturn]] inline void fail(const Path& path, const std::string& action, int code = errno) {
  throw FileError(path.string(), "cannot " + action + ": " + std::generic_category().message(code));
}

/// Owns an open file.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  FileHandle(FileHandle&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileHandle() {
    if (is_open()) ::close(descriptor_);
  }

  bool is_open() const noexcept { return descriptor_ >= 0; }
  int descriptor() const noexcept { return descriptor_; }

  /// Closes and reports what the destructor would swallow (network file systems write late).
  void close(const Path& path) {
    if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail(path, "close");
  }

 private:
  int descriptor_ = -1;
};

inline std::string process_id() { return std::to_string(::getpid()); }

/// Creates `file` for writing; a closed handle where it exists already.
inline FileHandle create_new(const Path& file, const Path& path) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0 && errno != EEXIST) fail(path, "create a file in its folder");
  return FileHandle(descriptor);
}

/// Opens `file` for writing, following links: a regular file is emptied or made, anything else is written through.
inline FileHandle open_to_write(const Path& file, const Path& path) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(path, "be written");
  return FileHandle(descriptor);
}

/// Whether the process may write to an existing file, or make files in an existing folder; errno says why not.
inline bool may_write(const Path& path) noexcept { return ::access(path.c_str(), W_OK) == 0; }

/// Whether `path` leads to the file behind an open descriptor.
inline bool is_open_at(const Path& path, int descriptor) noexcept {
  struct stat named {
  }, open{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(descriptor, &open) == 0 && named.st_dev == open.st_dev &&
         named.st_ino == open.st_ino;
}

/// Writes all of `data`. A descriptor that does not wait by itself is waited for.
inline void write_all(int descriptor, const void* data, std::size_t size, const Path& path) {
  constexpr std::size_t largest_write = std::size_t{1} << 30;  // some systems refuse 2 GiB and more
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const auto written = ::write(descriptor, bytes, std::min(size, largest_write));
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) fail(path, "write");
      pollfd room{descriptor, POLLOUT, 0};
      ::poll(&room, 1, -1);
      continue;
    }
    if (written == 0) fail(path, "write", ENOSPC);
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
}

inline void write_all(const FileHandle& file, const void* data, std::size_t size, const Path& path) {
  write_all(file.descriptor(), data, size, path);
}

/// Reads at most `size` bytes and returns how many; 0 is the end. Waits where the descriptor does not by itself.
inline std::size_t read_some(int descriptor, void* to, std::size_t size, const Path& path) {
  for (;;) {
    const auto count = ::read(descriptor, to, size);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) fail(path, "be read");
    pollfd more{descriptor, POLLIN, 0};
    ::poll(&more, 1, -1);
  }
}

/// Returns when the file's bytes are on the device.
inline void flush_to_device(const FileHandle& file, const Path& path) {
#if defined(F_FULLFSYNC)  // where fsync stops at the drive's cache
  if (::fcntl(file.descriptor(), F_FULLFSYNC) == 0) return;
#endif
  if (::fsync(file.descriptor()) != 0) fail(path, "flush");
}

/// Gives `temporary` the name `path`, replacing what had it, in one step.
inline void rename_over(const Path& temporary, const Path& path) {
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "rename the finished file to this name");
}

/// Makes a rename in the folder of `path` survive a power failure. Folders that cannot be opened for reading, and file
/// systems that cannot flush a folder, are left alone: the file itself is complete and in place.
inline void flush_folder(const Path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : Path(".");
  const FileHandle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle.is_open()) {
    if (errno == EACCES) return;
    fail(path, "open its folder");
  }
  if (::fsync(handle.descriptor()) != 0 && errno != EINVAL && errno != ENOTSUP) fail(path, "flush its folder");
}

/// Takes a folder for this process until the handle closes, which the end of the process does as well; a closed handle
/// where another one has it. A file system without locks gives it to everyone. Throws FileError where it cannot be
/// opened.
inline FileHandle lock_folder(const Path& folder) {
  FileHandle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle.is_open()) fail(folder, "open");
  int result = 0;
  do result = ::flock(handle.descriptor(), LOCK_EX | LOCK_NB);
  while (result != 0 && errno == EINTR);
  return result != 0 && errno == EWOULDBLOCK ? FileHandle() : std::move(handle);
}

/// Removes a file; a failure is ignored, for destructors.
inline void remove_quietly(const Path& file) noexcept { ::unlink(file.c_str()); }

/// A read-only mapping. An empty file has `data == nullptr`.
struct Mapping {
  const std::byte* data = nullptr;
  std::size_t size = 0;
};

/// Maps a regular file. The descriptor is closed again; the mapping keeps the file's bytes reachable even when another
/// file takes its name.
inline Mapping map_read_only(const Path& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer before it is refused.
  const FileHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) fail(path, "open");
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) fail(path, "read its size");
  if (S_ISDIR(status.st_mode)) throw FileError(path.string(), "is a folder, not a file");
  if (!S_ISREG(status.st_mode)) throw FileError(path.string(), "is not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {};
  void* const data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (data == MAP_FAILED) fail(path, "map");
  return {static_cast<const std::byte*>(data), size};
}

inline void unmap(const Mapping& mapping) noexcept {
  if (mapping.data != nullptr) ::munmap(const_cast<std::byte*>(mapping.data), mapping.size);
}

/// Lets the system take back the pages of bytes [offset, offset + size), which must lie in the mapping. The page that
/// the end falls into stays (its rest is likely to be read next) unless it is the file's last. The bytes remain
/// readable; it is a hint, so a failure is ignored.
inline void release_pages(const Mapping& mapping, std::size_t offset, std::size_t size) noexcept {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = offset / page * page;
  const auto end = offset + size == mapping.size ? mapping.size : (offset + size) / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(mapping.data) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace neural_attention::io::platform
