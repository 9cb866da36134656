// Standard input, output and error of the programs: a failed write is an error, non-blocking descriptors are waited
// for, and no file takes the place of a missing descriptor.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/platform.hpp"

namespace examples {

namespace na = neural_attention;

inline constexpr const char* standard_output = "standard output";

/// Call it before the program opens anything. If one of the three descriptors is missing, the next file that the
/// program opens would take its place and, for example, receive messages. So this opens a descriptor in its place that
/// refuses reading or writing, as a missing descriptor does. It also makes a file that exceeds the limit of the process
/// an error, like a full disk, instead of a signal.
inline void prepare_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(descriptor, F_GETFD) == -1 && errno == EBADF)
      static_cast<void>(::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY));
  std::signal(SIGXFSZ, SIG_IGN);
}

/// Writes results. Throws FileError if it cannot.
inline void print(std::string_view text) {
  na::io::platform::write_all(STDOUT_FILENO, text.data(), text.size(), standard_output);
}

/// As std::printf.
[[gnu::format(printf, 1, 2)]] inline void print_formatted(const char* format, ...) {
  std::va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  std::vector<char> text(static_cast<std::size_t>(std::vsnprintf(nullptr, 0, format, arguments)) + 1);
  std::vsnprintf(text.data(), text.size(), format, again);
  va_end(again);
  va_end(arguments);
  print({text.data(), text.size() - 1});
}

/// Writes a message, whether or not anybody reads it.
inline void tell(const std::string& line) noexcept {
  try {
    const auto text = line + "\n";
    na::io::platform::write_all(STDERR_FILENO, text.data(), text.size(), "standard error");
  } catch (const std::exception&) {
  }
}

/// Call it at the end of a program. Throws FileError if the system reports a failed write only now, as network file
/// systems do.
inline void finish_standard_output() {
  na::io::platform::FileHandle copy(::dup(STDOUT_FILENO));
  if (copy.is_open()) copy.close(standard_output);
}

}  // namespace examples
