// Standard input, output and error as the programs use them: what cannot be written is an error and never lost, a
// descriptor that does not wait is waited for, and one that is missing does not become somebody's file.
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

/// Before a program opens anything. Where it was started without one of the three descriptors, the next file that it
/// opens would take the place and, for example, receive its messages: here something takes it that refuses reading or
/// writing, as a missing descriptor does. A file that would grow beyond the limit of the process is an error like a
/// full disk, not the end by a signal.
inline void prepare_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(descriptor, F_GETFD) == -1 && errno == EBADF)
      static_cast<void>(::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY));
  std::signal(SIGXFSZ, SIG_IGN);
}

/// Results. Throws FileError where they cannot be written.
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

/// A message, whether or not there is somebody to read it.
inline void tell(const std::string& line) noexcept {
  try {
    const auto text = line + "\n";
    na::io::platform::write_all(STDERR_FILENO, text.data(), text.size(), "standard error");
  } catch (const std::exception&) {
  }
}

/// At the end of a program. Throws FileError where the system says only now that results could not be written, as
/// network file systems do.
inline void finish_standard_output() {
  na::io::platform::FileHandle copy(::dup(STDOUT_FILENO));
  if (copy.is_open()) copy.close(standard_output);
}

}  // namespace examples
