// Being asked to stop: by Ctrl-C, by kill, by a terminal that goes away (SIGHUP), or by a batch system that warns
// before the time is over (SIGUSR1, as Slurm sends it).
#pragma once

#include <signal.h>

#include <csignal>
#include <cstddef>

namespace examples {

/// While it lives, the first such signal asks for an orderly stop; the second ends the program at once. One at a time.
/// A signal that the program was started to ignore, as nohup does, stays ignored. A reader of the program's messages
/// who has gone does not end the work.
class Interruption {
 public:
  Interruption() {
    received_ = 0;
    for (std::size_t i = 0; i < count; ++i) {
      sigaction(signals[i], nullptr, &before_[i]);
      if (before_[i].sa_handler == SIG_IGN) continue;
      struct sigaction action {};
      action.sa_handler = on_signal;
      action.sa_flags = SA_RESTART;  // what is being written is written to its end
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
  /// What a program ends with that was stopped by a signal, as shells have it.
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
