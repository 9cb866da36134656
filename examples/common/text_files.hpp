// Folders and text files that programs make, and how they tell a token file from a text.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <system_error>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"

namespace examples {

namespace na = neural_attention;

/// Throws FileError if the folder is not there and cannot be created.
inline void make_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw na::FileError(path.string(), "cannot be created: " + error.message());
}

/// A file of token ids, not of text.
inline bool is_token_file(const std::string& path) { return path.ends_with(".bin"); }

/// Writes `lines` to `path`, each as a line.
inline void write_lines(const std::filesystem::path& path, std::span<const std::string> lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  na::io::write_file_atomically(path, text);
}

}  // namespace examples
