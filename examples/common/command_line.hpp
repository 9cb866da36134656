// The rules of all command lines: - and _ are interchangeable in flag names; if a flag is given twice, the last one
// counts; an empty value is an error; an error for an unknown flag names the nearest known one; exit_codes.hpp says
// with which codes errors end.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <exception>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/exit_codes.hpp"
#include "common/nearest_flag.hpp"
#include "common/program_fault.hpp"
#include "common/standard_streams.hpp"

namespace examples {

/// Stands in front of a value in brackets, which CLI11 would take for a list; set_common_rules takes it off.
inline constexpr char no_list = '\x01';

/// The arguments with _ for every - in the names of long flags. Values do not change, not even those that look like a
/// flag or a list, nor does what follows "--".
inline std::vector<std::string> normalized_arguments(const CLI::App& app, int argc, char** argv) {
  const CLI::App* command = &app;
  std::vector<std::string> arguments;
  const auto add_value = [&](std::string value) {
    if (value.starts_with('[') && value.ends_with(']')) value.insert(value.begin(), no_list);
    arguments.push_back(std::move(value));
  };
  bool flags_end = false, value_follows = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    const bool flag =
        argument.size() > 2 && argument.starts_with("--") && std::isalnum(static_cast<unsigned char>(argument[2])) != 0;
    if (flags_end || value_follows || !flag) {
      if (!flags_end && !value_follows && command == &app) {
        const auto named = app.get_subcommands([&](const CLI::App* one) { return one->check_name(argument); });
        if (!named.empty()) command = named.front();
      }
      flags_end = flags_end || (argument == "--" && !value_follows);
      value_follows = false;
      add_value(std::move(argument));
      continue;
    }
    const auto end = std::min(argument.find('='), argument.size());
    std::replace(argument.begin() + 2, argument.begin() + static_cast<std::ptrdiff_t>(end), '-', '_');
    const auto name = argument.substr(0, end), value = end < argument.size() ? argument.substr(end + 1) : "";
    if (end < argument.size() && !value.empty() && !value.starts_with('[')) {
      arguments.push_back(std::move(argument));
      continue;
    }
    arguments.push_back(name);
    const auto* const option = command->get_option_no_throw(name);
    if (end < argument.size())
      add_value(value);
    else
      value_follows = option != nullptr && option->get_items_expected_min() > 0;
  }
  return arguments;
}

/// As in Python's argparse, the last of several equal flags counts, unless the flag collects a list. Refuses empty
/// values, such as a variable that a script forgot to set.
inline void set_common_rules(CLI::App& app) {
  const CLI::Validator not_empty([](std::string& text) { return std::string(text.empty() ? "must not be empty" : ""); },
                                 "");
  const CLI::Validator without_mark(
      [](std::string& text) {
        if (text.starts_with(no_list)) text.erase(0, 1);
        return std::string();
      },
      "");
  for (auto* option : app.get_options()) {
    if (option->get_items_expected_max() > 0) option->transform(without_mark);
    if (option->get_expected_max() < CLI::detail::expected_max_vector_size)
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    if (option->get_items_expected_max() > 0 && !option->get_positional()) option->check(not_empty);
  }
  for (auto* command : app.get_subcommands([](CLI::App*) { return true; })) set_common_rules(*command);
}

/// A sentence about what is wrong with the command line.
inline std::string usage_fault(const CLI::App& app, const CLI::ParseError& error) {
  for (const auto& extra : app.remaining(true))
    if (extra.starts_with("-")) {
      const auto flag = extra.substr(0, extra.find('='));
      const auto nearest = nearest_flag(app, flag);
      return "there is no flag " + flag + (nearest.empty() ? "" : "; did you mean " + nearest + "?");
    }
  return error.what();
}

/// Parses the command line and, if it is valid, calls `run`. Results must go through print().
template <class Run>
int run_program(CLI::App& app, int argc, char** argv, Run&& run) {
  prepare_standard_streams();
  const auto fails = [&](const std::string& message, int code) {
    tell(app.get_name() + ": " + message);
    return code;
  };
  try {
    set_common_rules(app);
    auto arguments = normalized_arguments(app, argc, argv);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    int code = 0;
    try {
      app.parse(arguments);
      code = run();
    } catch (const CLI::Success& asked) {
      std::ostringstream help, nothing;
      app.exit(asked, help, nothing);
      print(help.str());
    }
    finish_standard_output();
    return code;
  } catch (const CLI::ParseError& error) {
    return fails(usage_fault(app, error) + "\n(" + app.get_name() + " --help shows what there is)",
                 exit_codes::misused);
  } catch (const std::exception& error) {
    const auto fault = program_fault(error);
    return fails(fault.text, fault.code);
  }
}

}  // namespace examples
