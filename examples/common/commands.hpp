// The commands of a program, such as `translation train`: each has options, the flags that set them, and what it does.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <vector>

namespace examples {

class Commands {
 public:
  explicit Commands(CLI::App& app) : app_(&app) { app.require_subcommand(1); }

  /// `act` returns the program's exit code and throws on errors.
  template <class Options>
  void add(const char* name, const char* description, int (*act)(const Options&), const char* footer) {
    const auto options = std::make_shared<Options>();
    auto* const command = app_->add_subcommand(name, description);
    options->add_to(*command);
    command->footer(footer);
    commands_.push_back({command, [act, options] { return act(*options); }});
  }

  /// Runs the command that was given, when the command line has been parsed.
  int run() const {
    for (const auto& command : commands_)
      if (command.parser->parsed()) return command.run();
    return 2;
  }

 private:
  struct Command {
    CLI::App* parser;
    std::function<int()> run;
  };

  CLI::App* app_;
  std::vector<Command> commands_;
};

}  // namespace examples
