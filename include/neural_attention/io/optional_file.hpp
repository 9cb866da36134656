// Files that may be missing.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/json_file.hpp"

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
  if (!error)
    throw FileError(path.string(), "is a link to " + in_quotes(target.string(), 1000) + ", which does not exist");
  return false;
}

/// The JSON object in a file, an empty one if the file is missing. Throws FileError, also for JSON that is no object.
inline nlohmann::json optional_object(const std::filesystem::path& path) {
  if (!is_there(path)) return nlohmann::json::object();
  auto json = read_json(path.string());
  if (!json.is_object()) throw FileError(path.string(), "is not a JSON object");
  return json;
}

}  // namespace neural_attention::io
