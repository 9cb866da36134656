// On which machine times were measured and runs ran.
#pragma once

#include <sys/utsname.h>

#include <fstream>
#include <string>
#include <thread>

#include "neural_attention/core/counted.hpp"

namespace examples {

/// "Some CPU, 2 threads, Linux"
inline std::string machine_text() {
  std::string processor = "unknown processor";
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name") && line.find(": ") != std::string::npos) {
      processor = line.substr(line.find(": ") + 2);
      break;
    }
  utsname system{};
  ::uname(&system);
  return processor + ", " + neural_attention::counted(std::thread::hardware_concurrency(), "thread") + ", " +
         system.sysname;
}

}  // namespace examples
