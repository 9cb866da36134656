// A fuzz target is a function that reads one file of unknown content. It may end in the library's own error, whose
// message names that file; anything else (another exception, a sanitizer's report, a broken promise about what was
// read) is a finding. The same function serves libFuzzer (fuzzer_main.cpp) and the replay of the corpora.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

#include "neural_attention/core/errors.hpp"

namespace fuzz {

/// A reader kept a promise of its own only in part; nothing of the library throws this.
struct Finding : std::logic_error {
  using std::logic_error::logic_error;
};

inline void require(bool kept, const char* promise) {
  if (!kept) throw Finding(promise);
}

/// Checks what an error says of the file that it names.
inline void require_message(const neural_attention::FileError& error) {
  const std::string_view message = error.what();
  require(message.starts_with(error.path() + ": "), "the message of a FileError begins with the file");
  require(message.size() < 2000, "a message is short, whatever the file holds");
}

/// Runs `read(path)`. True where it took the file, false where it threw a FileError that names it; a Finding for an
/// error that does not.
template <class Read>
bool reads(const std::string& path, Read read) {
  try {
    read(path);
    return true;
  } catch (const neural_attention::FileError& error) {
    require(error.path() == path, "a FileError names the file");
    require_message(error);
    return false;
  }
}

/// The same for a folder: the error must name a file directly in it.
template <class Read>
bool reads_in(const std::string& folder, Read read) {
  try {
    read(folder);
    return true;
  } catch (const neural_attention::FileError& error) {
    require(std::filesystem::path(error.path()).parent_path() == folder, "a FileError names a file of the folder");
    require_message(error);
    return false;
  }
}

/// A file that has a path but no place on a disk, with bytes to be replaced.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {}
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

  void replace(std::string_view bytes) const {
    if (ftruncate(descriptor_, 0) != 0 || pwrite(descriptor_, bytes.data(), bytes.size(), 0) != std::ssize(bytes))
      throw std::runtime_error("the test cannot write " + path());
  }

 private:
  int descriptor_;
};

}  // namespace fuzz
