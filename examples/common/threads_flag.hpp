// --threads, as all programs have it.
#pragma once

#include <CLI/CLI.hpp>

namespace examples {

inline CLI::Option* add_threads_flag(CLI::App& app, int& threads) {
  return app
      .add_option("--threads", threads,
                  "CPU threads; 0: OMP_NUM_THREADS or, where that is not set, as many as this process may use")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

}  // namespace examples
