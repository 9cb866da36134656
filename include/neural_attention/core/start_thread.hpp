// Starts threads that work in the background.
#pragma once

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "neural_attention/core/errors.hpp"

namespace neural_attention {

/// A thread that calls `work()`. Throws ConfigError if the system cannot start one more.
std::thread start_thread(auto&& work) {
  try {
    return std::thread(std::forward<decltype(work)>(work));
  } catch (const std::system_error& error) {
    throw ConfigError(std::string("a thread that works in the background cannot be started: ") + error.what());
  }
}

}  // namespace neural_attention
