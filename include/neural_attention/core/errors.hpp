// Typed errors. Every message is one sentence that says what is wrong, where, and what was expected. The only other
// exception type of the library is GroupError (train/group.hpp). The library never prints and never ends the process.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// Base of all errors that the library throws.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A value in a configuration or an argument makes no sense: a negative width, or heads that do not divide d.
struct ConfigError : Error {
  using Error::Error;
};

/// Two sizes must agree but differ.
struct ShapeError : Error {
  using Error::Error;
};

/// A file is missing, unreadable, malformed or truncated, or cannot be written. `path()` names it.
struct FileError : Error {
  FileError(std::string path, const std::string& what) : Error(path + ": " + what), path_(std::move(path)) {}

  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// A line of a text file cannot be used. Lines count from 1.
struct LineError : FileError {
  LineError(const std::string& path, long line, const std::string& what)
      : FileError(path, "line " + std::to_string(line) + ": " + what), line_(line) {}

  long line() const noexcept { return line_; }

 private:
  long line_;
};

/// A text is not in the required form, such as UTF-8.
struct TextError : Error {
  using Error::Error;
};

/// A GPU is unusable, or a call to it failed.
struct DeviceError : Error {
  using Error::Error;
};

/// A device has too little free memory.
struct OutOfMemory : DeviceError {
  using DeviceError::DeviceError;
};

/// A loss, a gradient or a result of a model is not finite. Training throws this before it changes the parameters.
struct NumericError : Error {
  using Error::Error;
};

}  // namespace neural_attention
