// The flag that somebody may have meant who typed one that does not exist.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/nearest_name.hpp"

namespace examples {

/// The flag of `app` or of its chosen command that is nearest to `flag`, with its dashes, or "".
inline std::string nearest_flag(const CLI::App& app, const std::string& flag) {
  std::vector<std::string_view> names;
  const auto add = [&](const CLI::App& command) {
    for (const auto* option : command.get_options())
      for (const auto& name : option->get_lnames()) names.push_back(name);
  };
  add(app);
  for (const auto* command : app.get_subcommands()) add(*command);
  const auto typed = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
  const auto nearest = neural_attention::nearest_name(typed, names);
  return nearest.empty() ? std::string() : "--" + std::string(nearest);
}

}  // namespace examples
