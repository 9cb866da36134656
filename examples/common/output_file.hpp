// Files that a flag names for results. Links are followed; an existing regular file is replaced as a whole; other files
// (a device, a pipe, /dev/stdout) are written to.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/standard_streams.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/platform.hpp"

namespace examples {

namespace na = neural_attention;

/// The target of `path` behind its links, which may not exist yet.
inline std::filesystem::path written_path(const std::string& path) {
  namespace fs = std::filesystem;
  fs::path target = path;
  std::error_code error;
  if (const auto status = fs::status(path, error); fs::exists(status) && !fs::is_regular_file(status)) return target;
  for (int links = 0; fs::is_symlink(fs::symlink_status(target, error)); ++links) {
    constexpr int most = 40;  // as the system itself
    if (links == most) throw na::FileError(path, "is a link that leads in a circle");
    const auto next = fs::read_symlink(target, error);
    if (error) throw na::FileError(path, "is a link that cannot be read: " + error.message());
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return target;
}

/// Call it before work begins. Throws FileError if results cannot be written to `path`. An empty path is not checked.
inline void require_output(const std::string& path) {
  namespace fs = std::filesystem;
  if (path.empty()) return;
  const auto target = written_path(path);
  std::error_code error;
  if (fs::is_directory(target, error)) throw na::FileError(path, "is a folder, not a file");
  if (fs::exists(target, error)) {
    if (!na::io::platform::may_write(target)) na::io::platform::fail(path, "be written");
    if (!fs::is_regular_file(target, error)) return;
  }
  const auto folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error))
    throw na::FileError(path, "cannot be written: there is no folder " + folder.string());
  if (!na::io::platform::may_write(folder)) na::io::platform::fail(path, "be created in its folder");
}

struct NamedFile {
  const char* flag;
  std::string path;
};

/// Adds the files of a folder, such as a model's, to `files`.
inline void add_files_of(const char* flag, const std::string& folder, std::vector<NamedFile>& files) {
  std::error_code error;
  for (std::filesystem::directory_iterator item(folder, error), end; !error && item != end; item.increment(error))
    files.push_back({flag, item->path().string()});
}

/// Throws ConfigError if `output` is one of `others`, whose content would be lost.
inline void require_another_file(const NamedFile& output, const std::vector<NamedFile>& others) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto same = [&](const std::string& a, const std::string& b) {
    if (!fs::exists(a, ignored)) return fs::weakly_canonical(a, ignored) == fs::weakly_canonical(b, ignored);
    return fs::is_regular_file(a, ignored) && fs::equivalent(a, b, ignored);
  };
  for (const auto& other : others)
    if (!output.path.empty() && !other.path.empty() && same(output.path, other.path))
      throw na::ConfigError(std::string(output.flag) + " " + output.path + " is the file of " + other.flag +
                            ", which would be overwritten");
}

/// Writes `text`. Replaces an old file only when all of the new one is on the device. Throws FileError.
inline void write_output(const std::string& path, std::string_view text) {
  if (na::io::platform::is_open_at(path, STDOUT_FILENO)) return print(text);  // after its present content
  const auto target = written_path(path);
  std::error_code ignored;
  if (!std::filesystem::exists(target, ignored) || std::filesystem::is_regular_file(target, ignored))
    return na::io::write_file_atomically(target, text);
  auto file = na::io::platform::open_to_write(path, path);
  na::io::platform::write_all(file, text.data(), text.size(), path);
  file.close(path);
}

/// Standard output, or a file that grows line by line.
class LineSink {
 public:
  /// Empties the file. Throws FileError.
  explicit LineSink(const std::string& path) : name_(path.empty() ? standard_output : path) {
    if (!path.empty() && !na::io::platform::is_open_at(path, STDOUT_FILENO))
      file_ = na::io::platform::open_to_write(path, path);
  }

  void write(std::string_view text) { waiting_ += text; }
  /// Throws FileError if the text so far cannot be written.
  void flush() {
    const auto text = std::exchange(waiting_, {});
    const int descriptor = file_.is_open() ? file_.descriptor() : STDOUT_FILENO;
    na::io::platform::write_all(descriptor, text.data(), text.size(), name_);
  }
  /// Throws FileError if the system reports a failed write only now.
  void close() {
    flush();
    if (file_.is_open()) file_.close(name_);
  }

 private:
  std::string name_, waiting_;
  na::io::platform::FileHandle file_;
};

}  // namespace examples
