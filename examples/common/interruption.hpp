// Requests to stop: Ctrl-C, kill, a terminal that goes away (SIGHUP), or a batch system that warns before the time is
// over (SIGUSR1, as from Slurm).
#pragma once

#include <signal.h>

#include <csignal>
#include <cstddef>

namespace examples {

/// During its lifetime, the first such signal requests an orderly stop, and the second ends the program at once. Make
/// only one at a time. Signals that the program ignored at its start, as under nohup, stay ignored. The work goes on if
/// the reader of the program's messages is gone.
class Interruption {
 public:
  Interruption() {
    received_ = 0;
    for (std::size_t i = 0; i < count; ++i) {
      sigaction(signals[i], nullptr, &before_[i]);
      if (before_[i].sa_handler == SIG_IGN) continue;
      struct sigaction action {};
      action.sa_handler = on_signal;
      action.sa_flags = SA_RESTART;  // so that writes complete
      sigemptyset(&action.sa_mask);
      sigaction(signals[i], &action, nullptr);
    }
    pipe_ = std::signal(SIGPIPE, SIG_IGN);
  }
  ~Interruption() {
    for (std::size_t i = 0; i < count; ++i) sigaction(signals[i], &before_[i], nullptr);
    std::signal(SIGPIPE, pipe_);
  }
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  bool requested() const { return received_ != 0; }
  /// The exit code after a signal, by the convention of shells.
  int exit_code() const { return 128 + received_; }

 private:
  static constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
  static constexpr std::size_t count = sizeof signals / sizeof *signals;

  static void on_signal(int signal) {
    if (received_ != 0) {  // two that came together
      std::signal(signal, SIG_DFL);
      std::raise(signal);
      return;
    }
    received_ = signal;
    for (const int each : signals) {
      struct sigaction now {};
      if (sigaction(each, nullptr, &now) == 0 && now.sa_handler == on_signal) std::signal(each, SIG_DFL);
    }
  }

  struct sigaction before_[count] = {};
  void (*pipe_)(int) = SIG_DFL;
  static inline volatile std::sig_atomic_t received_ = 0;
};

}  // namespace examples
