// A library for LD_PRELOAD: kills the process at a chosen system call on the files of one folder, or lets that call
// fail.
//   FAULT_FOLDER  the folder, absolute; calls on what lies in it are counted, by kind and all together ("any")
//   FAULT         KIND:K:WHAT, the K-th call of that kind, counted from 1; WHAT is KILL or an error such as ENOSPC.
//                 bytes:N:ENOSPC: no more than N bytes can be written
//   FAULT_COUNTS  a file that gets a line "KIND N" for each kind when the process ends
// Kinds: open (for writing), write, fsync, rename, unlink, mkdir, rmdir.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>

namespace {

enum Kind { Open, Write, Fsync, Rename, Unlink, Mkdir, Rmdir, Any, kinds };
constexpr std::array<const char*, kinds> names = {"open",   "write", "fsync", "rename",
                                                  "unlink", "mkdir", "rmdir", "any"};

std::array<std::atomic<long>, kinds> counts{};
std::atomic<long> bytes_written{0};

struct Plan {
  std::string folder;
  int kind = -1;
  long at = 0;
  int error = 0;       // 0: kill
  long capacity = -1;  // bytes that can be written; negative: any number

  Plan() {
    if (const char* const text = std::getenv("FAULT_FOLDER")) folder = text;
    const char* const fault = std::getenv("FAULT");
    if (!fault) return;
    const std::string text = fault;
    const auto first = text.find(':'), second = text.find(':', first + 1);
    const auto name = text.substr(0, first), what = text.substr(second + 1);
    const long number = std::atol(text.substr(first + 1, second - first - 1).c_str());
    for (const auto& [error_name, code] : {std::pair{"ENOSPC", ENOSPC},
                                           {"EIO", EIO},
                                           {"EACCES", EACCES},
                                           {"EROFS", EROFS},
                                           {"EMFILE", EMFILE},
                                           {"EBUSY", EBUSY}})
      if (what == error_name) error = code;
    if (name == "bytes") {
      capacity = number;
      return;
    }
    at = number;
    for (int i = 0; i < kinds; ++i)
      if (name == names[static_cast<std::size_t>(i)]) kind = i;
  }
  ~Plan() {
    const char* const path = std::getenv("FAULT_COUNTS");
    if (!path) return;
    std::string text;
    for (std::size_t i = 0; i < kinds; ++i)
      text += std::string(names[i]) + " " + std::to_string(counts[i].load()) + "\n";
    text += "bytes " + std::to_string(bytes_written.load()) + "\n";
    const auto file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0) return;
    syscall(SYS_write, file, text.data(), text.size());
    syscall(SYS_close, file);
  }
};

const Plan& plan() {
  static const Plan the_plan;
  return the_plan;
}
// Made when the library is loaded, so that the counts are written even where nothing was counted.
const Plan& made_at_once = plan();

std::string link_of(const std::string& link) {
  char target[PATH_MAX];
  const auto size = syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), target, sizeof target);
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : std::string();
}

bool inside(std::string_view path) {
  const auto& folder = plan().folder;
  return !folder.empty() && path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

bool counted(int folder, const char* path) {
  if (!path) return false;
  if (path[0] == '/') return inside(path);
  return inside(link_of(folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/" + std::to_string(folder)) + "/" +
                path);
}

bool counted(int file) { return file > 2 && inside(link_of("/proc/self/fd/" + std::to_string(file))); }

/// Counts a call; whether it must fail, with errno set. Does not return where the process is to be killed.
bool fails(Kind kind) {
  const long number = ++counts[kind], of_all = ++counts[Any];
  const auto& fault = plan();
  if (fault.at <= 0 || !((fault.kind == kind && number == fault.at) || (fault.kind == Any && of_all == fault.at)))
    return false;
  if (fault.error == 0) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
  }
  errno = fault.error;
  return true;
}

/// How many of `size` bytes still fit.
std::size_t room(std::size_t size) {
  const auto capacity = plan().capacity;
  if (capacity < 0) return size;
  const auto left = std::max(0L, capacity - bytes_written.load());
  return std::min(size, static_cast<std::size_t>(left));
}

bool for_writing(int flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)) != 0; }

int open_at(int folder, const char* path, int flags, mode_t mode) {
  if (for_writing(flags) && counted(folder, path) && fails(Open)) return -1;
  return static_cast<int>(syscall(SYS_openat, folder, path, flags, mode));
}

ssize_t write_to(int file, const void* data, std::size_t size) {
  if (!counted(file)) return syscall(SYS_write, file, data, size);
  if (fails(Write)) return -1;
  const auto fits = room(size);
  if (fits == 0 && size > 0) {
    errno = ENOSPC;
    return -1;
  }
  const auto written = syscall(SYS_write, file, data, fits);
  if (written > 0) bytes_written += written;
  return written;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

// The same names as the C library's, for the calls of the program and of its libraries.
extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(folder, path, flags, mode);
}

// Streams open their files inside the C library.
FILE* fopen(const char* path, const char* mode) {
  static const auto next = reinterpret_cast<FILE* (*)(const char*, const char*)>(dlsym(RTLD_NEXT, "fopen"));
  if (std::strpbrk(mode, "wa+") && counted(AT_FDCWD, path) && fails(Open)) return nullptr;
  return next(path, mode);
}
FILE* fopen64(const char* path, const char* mode) { return fopen(path, mode); }

ssize_t write(int file, const void* data, std::size_t size) { return write_to(file, data, size); }
ssize_t writev(int file, const iovec* pieces, int count) {
  if (!counted(file)) return syscall(SYS_writev, file, pieces, count);
  std::string joined;
  for (int i = 0; i < count; ++i) joined.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  return write_to(file, joined.data(), joined.size());
}

int fsync(int file) { return counted(file) && fails(Fsync) ? -1 : static_cast<int>(syscall(SYS_fsync, file)); }
int fdatasync(int file) { return counted(file) && fails(Fsync) ? -1 : static_cast<int>(syscall(SYS_fdatasync, file)); }

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  if ((counted(from_folder, from) || counted(to_folder, to)) && fails(Rename)) return -1;
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  return renameat2(from_folder, from, to_folder, to, 0);
}
int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char* path, int flags) {
  if (counted(folder, path) && fails((flags & AT_REMOVEDIR) != 0 ? Rmdir : Unlink)) return -1;
  return static_cast<int>(syscall(SYS_unlinkat, folder, path, flags));
}
int unlink(const char* path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char* path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char* path) {
  if (unlink(path) == 0) return 0;
  return errno == EISDIR ? rmdir(path) : -1;
}

int mkdirat(int folder, const char* path, mode_t mode) {
  if (counted(folder, path) && fails(Mkdir)) return -1;
  return static_cast<int>(syscall(SYS_mkdirat, folder, path, mode));
}
int mkdir(const char* path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

}  // extern "C"
