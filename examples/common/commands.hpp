// A program with commands, such as `translation train`. Each has options, the flags that set them, and a function.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/command_line.hpp"

namespace examples {

class Commands {
 public:
  Commands(const std::string& program, const std::string& description) : app_(description, program) {
    app_.require_subcommand(1);
  }

  /// `act` returns the program's exit code and throws on errors.
  template <class Options>
  void add(const char* name, const char* description, int (*act)(const Options&), const char* footer) {
    const auto options = std::make_shared<Options>();
    auto* const command = app_.add_subcommand(name, description);
    options->add_to(*command);
    command->footer(footer);
    commands_.push_back({command, [act, options] { return act(*options); }});
  }

  /// Parses the command line and runs the command that it names. Returns the program's exit code.
  int run(int argc, char** argv) {
    return run_program(app_, argc, argv, [&] {
      for (const auto& command : commands_)
        if (command.parser->parsed()) return command.run();
      return 2;
    });
  }

 private:
  struct Command {
    CLI::App* parser;
    std::function<int()> run;
  };

  CLI::App app_;
  std::vector<Command> commands_;
};

}  // namespace examples
