// What a program says of an error, and its exit code.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "common/exit_codes.hpp"
#include "neural_attention/core/errors.hpp"

namespace examples {

struct ProgramFault {
  std::string text;
  int code;
};

inline ProgramFault program_fault(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error)) return {"there is not enough memory", exit_codes::failed};
  if (dynamic_cast<const std::length_error*>(&error))  // of a container that is larger than any memory
    return {"a size is too large: no machine has so much memory", exit_codes::failed};
  if (dynamic_cast<const neural_attention::ConfigError*>(&error)) return {error.what(), exit_codes::misused};
  if (dynamic_cast<const neural_attention::NumericError*>(&error)) return {error.what(), exit_codes::diverged};
  return {error.what(), exit_codes::failed};
}

/// Throws the error with the words `text`, as the type on which the program's message and exit code depend.
[[noreturn]] inline void throw_with_text(const std::exception& error, const std::string& text) {
  if (dynamic_cast<const neural_attention::ConfigError*>(&error)) throw neural_attention::ConfigError(text);
  if (dynamic_cast<const neural_attention::NumericError*>(&error)) throw neural_attention::NumericError(text);
  if (dynamic_cast<const neural_attention::OutOfMemory*>(&error)) throw neural_attention::OutOfMemory(text);
  throw neural_attention::Error(text);
}

}  // namespace examples
