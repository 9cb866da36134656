// Files that may be missing.
#pragma once

#include <filesystem>
#include <system_error>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"

namespace neural_attention::io {

/// Whether there is a file or a folder of this name. Throws FileError for a link that leads nowhere, which was meant to
/// be there, and if the system does not tell.
inline bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status)) return true;
  if (status.type() != std::filesystem::file_type::not_found)
    throw FileError(path.string(), "cannot be read: " + error.message());
  const auto target = std::filesystem::read_symlink(path, error);
  if (!error) throw FileError(path.string(), "is a link that leads nowhere: to " + in_quotes(target.string(), 1000));
  return false;
}

}  // namespace neural_attention::io
