// Programs with system calls that fail or kill them (inject.cpp).
#pragma once

#include <csignal>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

#include "examples/programs.hpp"
#include "sanitized.hpp"

namespace faults {

using namespace programs;

/// Sanitizers must be loaded first, and so must the library that injects faults.
inline bool skipped() {
  if (NEURAL_ATTENTION_SANITIZED) std::puts("SKIPPED: faults cannot be injected under sanitizers");
  return NEURAL_ATTENTION_SANITIZED;
}

/// How many calls of each kind a program makes, and under "bytes" how many it writes.
using Counts = std::map<std::string, long>;

/// The environment of programs whose calls on the files of the folder `watched` have a fault, such as "rename:3:KILL",
/// or "" for none; the numbers of calls go to the file `counts`.
inline std::map<std::string, std::string> fault_environment(const std::string& fault, const std::string& watched,
                                                            const std::string& counts) {
  const auto library = (fs::path(NEURAL_ATTENTION_BIN_DIR).parent_path() / "tests" / "fault_injection.so").string();
  BOOST_REQUIRE_MESSAGE(fs::exists(library), library << " has not been built");
  return {{"LD_PRELOAD", library}, {"FAULT_FOLDER", watched}, {"FAULT", fault}, {"FAULT_COUNTS", counts}};
}

struct FaultyFolder : Folder {
  /// Runs a program with a fault.
  Outcome run_with(const std::string& fault, const std::string& watched, const std::string& program,
                   const Arguments& arguments) const {
    const auto environment = fault_environment(fault, path(watched), path("counts"));
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    const auto outcome = run(program, arguments);
    for (const auto& [name, value] : environment) unsetenv(name.c_str());
    return outcome;
  }

  /// Those of the last run that was not killed.
  Counts calls_made() const {
    Counts counts;
    std::istringstream text(content(folder / "counts"));
    std::string kind;
    for (long number = 0; text >> kind >> number;) counts[kind] = number;
    return counts;
  }
};

}  // namespace faults
