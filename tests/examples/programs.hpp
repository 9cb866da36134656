// Programs as child processes: their arguments, streams, exit codes and messages.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace programs {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

inline std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

/// Makes every number of a safetensors file NaN.
inline void spoil_weights(const fs::path& path) {
  auto bytes = content(path);
  std::uint64_t header = 0;
  BOOST_REQUIRE(bytes.size() > sizeof header);
  std::memcpy(&header, bytes.data(), sizeof header);
  BOOST_REQUIRE(header < bytes.size() - sizeof header);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(sizeof header + header), bytes.end(), '\xFF');
  write(path, bytes);
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Outcome {
  int code = -1;  ///< exit code, or -1 where a signal ended the program
  int signal = 0;
  std::string out, err;
};

/// What a child does behind the redirection of its streams and before it becomes the program.
using Before = std::function<void()>;

/// A program that runs; its streams are files in `folder`.
class Child {
 public:
  Child(const fs::path& folder, const std::string& program, const Arguments& arguments, const std::string& input = {},
        const Before& before = {})
      : out_(folder / "stdout"), err_(folder / "stderr") {
    const auto path = (fs::path(NEURAL_ATTENTION_BIN_DIR) / program).string(), in = (folder / "stdin").string();
    BOOST_REQUIRE_MESSAGE(fs::exists(path), path << " has not been built");
    write(in, input);
    std::vector<char*> argv = {const_cast<char*>(path.c_str())};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = fork();
    BOOST_REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    redirect(in.c_str(), O_RDONLY, STDIN_FILENO);
    redirect(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    unsetenv("NEURAL_ATTENTION_DEMO_DATA");
    if (before) before();
    execv(argv[0], argv.data());
    _exit(127);
  }

  void kill_at_once() const { signal(SIGKILL); }
  void signal(int number) const { kill(pid_, number); }

  Outcome wait() {
    int status = 0;
    BOOST_REQUIRE(waitpid(pid_, &status, 0) == pid_);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0, content(out_),
            content(err_)};
  }

 private:
  static void redirect(const char* path, int flags, int descriptor) {
    const int file = open(path, flags, 0600);
    if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
  }

  fs::path out_, err_;
  pid_t pid_ = -1;
};

/// A program at the other end of two pipes.
class Conversation {
 public:
  Conversation(const std::string& program, const Arguments& arguments) {
    int in[2], out[2];
    BOOST_REQUIRE(pipe(in) == 0 && pipe(out) == 0);
    const auto path = (fs::path(NEURAL_ATTENTION_BIN_DIR) / program).string();
    std::vector<char*> argv = {const_cast<char*>(path.c_str())};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = fork();
    BOOST_REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      for (const int end : {in[0], in[1], out[0], out[1]}) close(end);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = out[0];
  }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  ~Conversation() {
    close(to_);
    close(from_);
    waitpid(pid_, nullptr, 0);
  }

  void say(const std::string& text) const { BOOST_REQUIRE(::write(to_, text.data(), text.size()) == std::ssize(text)); }

  /// Lines of the answer until there are `count`, or a minute is over.
  std::string hear(std::ptrdiff_t count) {
    std::string text;
    while (std::count(text.begin(), text.end(), '\n') < count) {
      pollfd wait{from_, POLLIN, 0};
      char buffer[4096];
      const auto size = poll(&wait, 1, 60'000) > 0 ? read(from_, buffer, sizeof buffer) : 0;
      if (size <= 0) break;
      text.append(buffer, static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  pid_t pid_ = -1;
  int to_ = -1, from_ = -1;
};

/// A terminal, for programs that write to one.
class Terminal {
 public:
  Terminal() : own_(posix_openpt(O_RDWR | O_NOCTTY)) {
    BOOST_REQUIRE(own_ >= 0 && grantpt(own_) == 0 && unlockpt(own_) == 0);
    program_ = open(ptsname(own_), O_RDWR | O_NOCTTY);
    BOOST_REQUIRE(program_ >= 0);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    close(own_);
    if (program_ >= 0) close(program_);
  }

  /// Makes it the standard output of a child.
  Before as_output() const {
    return [this] { dup2(program_, STDOUT_FILENO); };
  }

  /// What was written until all programs have ended, with plain line ends.
  std::string hear() {
    close(program_);
    program_ = -1;
    std::string text;
    for (pollfd wait{own_, POLLIN, 0}; poll(&wait, 1, 60'000) > 0;) {
      char buffer[4096];
      const auto size = read(own_, buffer, sizeof buffer);
      if (size <= 0) break;
      text.append(buffer, static_cast<std::size_t>(size));
    }
    std::erase(text, '\r');
    return text;
  }

 private:
  int own_, program_ = -1;
};

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::string line;
  for (std::istringstream stream(text); std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// A folder of its own for the files of programs; gone at the end.
struct Folder {
  Folder() : folder(fs::temp_directory_path() / ("neural_attention_programs_" + std::to_string(getpid()))) {
    fs::create_directories(folder);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }

  std::string path(const std::string& name) const { return (folder / name).string(); }

  Outcome run(const std::string& program, const Arguments& arguments, const std::string& input = {},
              const Before& before = {}) const {
    return Child(folder, program, arguments, input, before).wait();
  }

  /// The program ends with `code`, and its message is one that contains every part.
  void refuses(int code, const std::string& program, const Arguments& arguments, const Arguments& parts,
               const std::string& input = {}) const {
    const auto outcome = run(program, arguments, input);
    BOOST_TEST(outcome.code == code, program << " ended with " << outcome.code << ": " << outcome.err);
    BOOST_TEST(outcome.out == "");
    for (const auto& part : parts)
      BOOST_TEST(contains(outcome.err, part), "'" << part << "' is not in: " << outcome.err);
  }

  /// A training run with --output_dir `output` that is killed when its first checkpoint is complete.
  void kill_after_saving(const std::string& program, const Arguments& arguments, const std::string& output) const {
    Child child(folder, program, arguments);
    const auto saved = [&] {
      std::error_code ignored;
      for (const auto& item : fs::directory_iterator(folder / output, ignored))
        if (item.path().filename().string().starts_with("checkpoint-") && item.path().extension() != ".incomplete")
          return true;
      return false;
    };
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    while (!saved() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    child.kill_at_once();
    const auto killed = child.wait();
    BOOST_REQUIRE_MESSAGE(killed.signal == SIGKILL, "the run was over before it was killed: " << killed.err);
    BOOST_TEST(!fs::exists(folder / output / "model.safetensors"));
  }

  fs::path folder;
};

}  // namespace programs
