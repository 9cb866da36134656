// A training program, or its launcher, as a child process. A child lives in a process group of its own, so that Ctrl-C
// in a terminal reaches it once, through us; if we are killed, the system tells it to stop, and it saves. A launcher of
// MPI that started us is not its launcher.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/platform.hpp"

namespace examples {

namespace na = neural_attention;

/// The program, a path or a name to be found in PATH, and its arguments.
using Command = std::vector<std::string>;

/// As a line for a shell.
inline std::string shell_text(const Command& command) {
  std::string line;
  for (const auto& word : command) {
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                            "0123456789._-/=+:,@%") == std::string::npos;
    std::string quoted = "'";
    for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += (line.empty() ? "" : " ") + (plain ? word : quoted + "'");
  }
  return line;
}

struct Ending {
  int code = 0;  ///< of the exit; 128 + the signal if one ended it
  bool signalled = false;
};

/// The environment without what a launcher of MPI, if one started this process, tells its processes; with the user's
/// settings for launchers. Entries of the process, and a null at the end.
inline std::vector<char*> environment_alone() {
  const auto given = [](const char* name) { return std::getenv(name) != nullptr; };
  const bool launched = given("OMPI_COMM_WORLD_SIZE") || given("PMI_RANK") || given("PMI_SIZE") || given("PMIX_RANK");
  std::vector<char*> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const bool told = text.starts_with("OMPI_") || text.starts_with("PMI_") || text.starts_with("PMIX_");
    if (!launched || !told || text.starts_with("OMPI_ALLOW_")) kept.push_back(*entry);
  }
  kept.push_back(nullptr);
  return kept;
}

class Child {
 public:
  /// Standard output and error go to the ends of these files; they may be the same. `kept_open` is a descriptor that
  /// the child keeps as long as it lives, or -1; `stop_signal` asks it to save and end. Throws FileError if there can
  /// be no child.
  Child(const Command& command, const std::filesystem::path& out, const std::filesystem::path& err, int kept_open = -1,
        int stop_signal = SIGTERM)
      : stop_signal_(stop_signal) {
    const auto opened = [](const std::filesystem::path& path) {
      na::io::platform::FileHandle file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
      if (!file.is_open()) na::io::platform::fail(path, "be opened");
      return file;
    };
    const auto out_file = opened(out), err_file = opened(err);
    std::vector<char*> argv;
    for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const auto environment = environment_alone();
    const auto parent = ::getpid();
    id_ = ::fork();
    if (id_ < 0) na::io::platform::fail(command.front(), "be started");
    if (id_ > 0) return;
    // Only calls that are safe between fork and exec.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, stop_signal);
    if (::getppid() != parent) ::_exit(127);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE}) ::signal(signal, SIG_DFL);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0 || ::dup2(out_file.descriptor(), STDOUT_FILENO) < 0 ||
        ::dup2(err_file.descriptor(), STDERR_FILENO) < 0)
      ::_exit(126);
    if (kept_open >= 0) ::fcntl(kept_open, F_SETFD, 0);
    ::execvpe(argv[0], argv.data(), environment.data());
    constexpr char message[] = "the program could not be started\n";
    static_cast<void>(!::write(STDERR_FILENO, message, sizeof message - 1));
    ::_exit(127);
  }
  Child(Child&& other) noexcept : id_(std::exchange(other.id_, -1)), stop_signal_(other.stop_signal_) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(stop_signal_, other.stop_signal_);
    return *this;
  }
  /// Ends a child that still runs, as Ctrl-C would.
  ~Child() {
    if (id_ <= 0) return;
    stop();
    Ending ignored;
    wait(ignored, 0);
  }

  void stop() const { ::kill(id_, stop_signal_); }

  /// Whether it has ended, and how.
  bool ended(Ending& how) { return wait(how, WNOHANG); }

 private:
  bool wait(Ending& how, int flags) {
    int status = 0;
    pid_t result = 0;
    do result = ::waitpid(id_, &status, flags);
    while (result < 0 && errno == EINTR);
    if (result == 0) return false;
    id_ = -1;
    how.signalled = WIFSIGNALED(status);
    how.code = how.signalled ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
  }

  pid_t id_ = -1;
  int stop_signal_;
};

}  // namespace examples
