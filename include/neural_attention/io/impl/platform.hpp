// Definitions of what io/platform.hpp declares.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <system_error>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/platform.hpp"

namespace neural_attention::io::platform {

NEURAL_ATTENTION_INLINE void fail(const Path& path, const std::string& action, int code) {
  throw FileError(path.string(), "cannot " + action + ": " + std::generic_category().message(code));
}

NEURAL_ATTENTION_INLINE FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

NEURAL_ATTENTION_INLINE FileHandle::~FileHandle() {
  if (is_open()) ::close(descriptor_);
}

NEURAL_ATTENTION_INLINE void FileHandle::close(const Path& path) {
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail(path, "close");
}

NEURAL_ATTENTION_INLINE std::string process_id() { return std::to_string(::getpid()); }

NEURAL_ATTENTION_INLINE FileHandle create_new(const Path& file, const Path& path) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0 && errno != EEXIST) fail(path, "create a file in its folder");
  return FileHandle(descriptor);
}

NEURAL_ATTENTION_INLINE FileHandle open_to_write(const Path& file, const Path& path) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(path, "be written");
  return FileHandle(descriptor);
}

NEURAL_ATTENTION_INLINE bool may_write(const Path& path) noexcept { return ::access(path.c_str(), W_OK) == 0; }

NEURAL_ATTENTION_INLINE bool is_open_at(const Path& path, int descriptor) noexcept {
  struct stat named {
  }, open{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(descriptor, &open) == 0 && named.st_dev == open.st_dev &&
         named.st_ino == open.st_ino;
}

NEURAL_ATTENTION_INLINE void write_all(int descriptor, const void* data, std::size_t size, const Path& path) {
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

NEURAL_ATTENTION_INLINE void write_all(const FileHandle& file, const void* data, std::size_t size, const Path& path) {
  write_all(file.descriptor(), data, size, path);
}

NEURAL_ATTENTION_INLINE std::size_t read_some(int descriptor, void* to, std::size_t size, const Path& path) {
  for (;;) {
    const auto count = ::read(descriptor, to, size);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) fail(path, "be read");
    pollfd more{descriptor, POLLIN, 0};
    ::poll(&more, 1, -1);
  }
}

NEURAL_ATTENTION_INLINE void flush_to_device(const FileHandle& file, const Path& path) {
#if defined(F_FULLFSYNC)  // where fsync stops at the drive's cache
  if (::fcntl(file.descriptor(), F_FULLFSYNC) == 0) return;
#endif
  if (::fsync(file.descriptor()) != 0) fail(path, "flush");
}

NEURAL_ATTENTION_INLINE void rename_over(const Path& temporary, const Path& path) {
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "rename the finished file to this name");
}

NEURAL_ATTENTION_INLINE void flush_folder(const Path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : Path(".");
  const FileHandle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle.is_open()) {
    if (errno == EACCES) return;
    fail(path, "open its folder");
  }
  if (::fsync(handle.descriptor()) != 0 && errno != EINVAL && errno != ENOTSUP) fail(path, "flush its folder");
}

namespace detail {

/// Locks an open file or folder. A handle that is not open if another process has it.
inline FileHandle locked(FileHandle handle) {
  int result = 0;
  do result = ::flock(handle.descriptor(), LOCK_EX | LOCK_NB);
  while (result != 0 && errno == EINTR);
  return result != 0 && errno == EWOULDBLOCK ? FileHandle() : std::move(handle);
}

/// Whether other hosts see it, whose locks of folders this host may not see.
inline bool is_on_network(int descriptor) {
  struct statfs system {};
  if (::fstatfs(descriptor, &system) != 0) return false;
  constexpr std::array<unsigned, 6> networks = {0x6969,     0x517b,     0xff534d42,   // NFS, SMB, CIFS,
                                                0xfe534d42, 0x00c36400, 0x0bd00bd0};  // SMB2, Ceph, Lustre
  return std::find(networks.begin(), networks.end(), static_cast<unsigned>(system.f_type)) != networks.end();
}

}  // namespace detail

NEURAL_ATTENTION_INLINE FileHandle lock_file(const Path& file) {
  FileHandle handle(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!handle.is_open()) fail(file, "open");
  return detail::locked(std::move(handle));
}

NEURAL_ATTENTION_INLINE FileHandle lock_folder(const Path& folder) {
  FileHandle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle.is_open()) fail(folder, "open");
  if (detail::is_on_network(handle.descriptor())) return lock_file(folder / ".lock");
  return detail::locked(std::move(handle));
}

NEURAL_ATTENTION_INLINE void remove_quietly(const Path& file) noexcept { ::unlink(file.c_str()); }

NEURAL_ATTENTION_INLINE Mapping map_read_only(const Path& path) {
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

NEURAL_ATTENTION_INLINE void unmap(const Mapping& mapping) noexcept {
  if (mapping.data != nullptr) ::munmap(const_cast<std::byte*>(mapping.data), mapping.size);
}

NEURAL_ATTENTION_INLINE void release_pages(const Mapping& mapping, std::size_t offset, std::size_t size) noexcept {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = offset / page * page;
  const auto end = offset + size == mapping.size ? mapping.size : (offset + size) / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(mapping.data) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace neural_attention::io::platform
