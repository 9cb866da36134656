// What all programs' command lines share: - and _ are alike in flag names, an unknown flag is answered with the nearest
// known one, usage errors end with code 2 and other errors with code 1.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace examples {

/// Number of single-character edits from a to b (Levenshtein 1966).
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// The arguments with every - inside a long flag's name made _; values stay as they are.
inline std::vector<std::string> normalized_arguments(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument.starts_with("--") && argument.size() > 2) {
      const auto end = std::min(argument.find('='), argument.size());
      std::replace(argument.begin() + 2, argument.begin() + static_cast<std::ptrdiff_t>(end), '-', '_');
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

/// The flag of `app` or of its chosen command that is nearest to `flag`, or "".
inline std::string nearest_flag(const CLI::App& app, const std::string& flag) {
  std::string nearest;
  std::size_t least = flag.size() / 2 + 1;
  const auto consider = [&](const CLI::App& command) {
    for (const auto* option : command.get_options())
      for (const auto& name : option->get_lnames())
        if (const auto distance = edit_distance("--" + name, flag); distance < least) {
          least = distance;
          nearest = "--" + name;
        }
  };
  consider(app);
  for (const auto* command : app.get_subcommands()) consider(*command);
  return nearest;
}

/// Parses and runs. `run` is called when the command line is sound.
template <class Run>
int run_program(CLI::App& app, int argc, char** argv, Run&& run) {
  auto arguments = normalized_arguments(argc, argv);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(arguments);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    for (const auto& extra : app.remaining(true))
      if (extra.starts_with("-")) {
        const auto flag = extra.substr(0, extra.find('='));
        const auto nearest = nearest_flag(app, flag);
        message = "there is no flag " + flag + (nearest.empty() ? "" : "; did you mean " + nearest + "?");
        break;
      }
    std::fprintf(stderr, "%s: %s\n(%s --help shows what there is)\n", app.get_name().c_str(), message.c_str(),
                 app.get_name().c_str());
    return 2;
  }
  try {
    return run();
  } catch (const neural_attention::ConfigError& error) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), error.what());
    return 1;
  }
}

/// Whether Ctrl-C (or a polite kill) has come. The first asks for an orderly stop, the second ends the program.
class Interruption {
 public:
  Interruption() {
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
  }
  ~Interruption() {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
  }
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  bool requested() const { return requested_ != 0; }

 private:
  static void on_signal(int signal) {
    requested_ = 1;
    std::signal(signal, SIG_DFL);
  }

  static inline volatile std::sig_atomic_t requested_ = 0;
};

}  // namespace examples
