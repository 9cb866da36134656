// What tests with files share: a folder that goes when the test ends, file helpers, and predicates on errors.
#pragma once

#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <concepts>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

inline void put(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::remove(path);  // some file systems flush a file that is truncated and rewritten: slow in a loop
  std::ofstream out(path, std::ios::binary);
  if (!out.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush())
    throw std::runtime_error("the test cannot write " + path.string());
}

inline std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("the test cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Scratch {
  Scratch() {
    auto name = (std::filesystem::temp_directory_path() / "neural_attention_test_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no scratch folder");
    path = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }

  std::filesystem::path operator/(std::string_view name) const { return path / name; }

  std::string file(std::string_view name) const { return (path / name).string(); }

  /// Makes a file and returns its path.
  std::string write(std::string_view name, std::string_view bytes) const {
    put(path / name, bytes);
    return file(name);
  }
  std::string write_gzip(std::string_view name, std::string_view bytes) const {
    const gzFile out = gzopen(file(name).c_str(), "wb");
    gzwrite(out, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(out);
    return file(name);
  }
  std::string read(std::string_view name) const { return contents(path / name); }

  /// Files and folders in it.
  std::size_t entries() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path)) ++count;
    return count;
  }

  std::filesystem::path path;
};

/// Whether an error's message contains every one of `parts`.
inline auto says(std::initializer_list<std::string> parts) {
  return [list = std::vector<std::string>(parts)](const std::exception& error) {
    for (const auto& part : list) {
      if (std::string_view(error.what()).find(part) == std::string_view::npos) {
        BOOST_TEST_MESSAGE("the message \"" << error.what() << "\" lacks \"" << part << "\"");
        return false;
      }
    }
    return true;
  };
}

inline auto says(const std::convertible_to<std::string> auto& part) { return says({std::string(part)}); }

/// While it lives, no file of this process can grow beyond `bytes`: a full disk on any system, with any user.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) throw std::runtime_error("the test cannot limit the size of files");
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit old_{};
};

/// While it lives, the process has no rights beyond those of an ordinary user: root ignores file permissions.
class OrdinaryUser {
 public:
  OrdinaryUser() : user_(geteuid()) {
    if (user_ == 0 && setresuid(65534, 65534, 0) != 0) throw std::runtime_error("the test cannot give up its rights");
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;
  ~OrdinaryUser() {
    if (user_ == 0 && setresuid(0, 0, 0) != 0) std::abort();
  }

 private:
  uid_t user_;
};
