// Definitions of what io/json_file.hpp declares.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/json_parser.hpp"
#include "neural_attention/io/mapped_file.hpp"

namespace neural_attention::io {

NEURAL_ATTENTION_INLINE nlohmann::json read_json(const std::filesystem::path& path, std::size_t largest) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  if (bytes.size() > largest) {
    throw FileError(path.string(), "has " + std::to_string(bytes.size()) +
                                       " bytes, too many for a JSON file (at most " + std::to_string(largest) + ")");
  }
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

NEURAL_ATTENTION_INLINE void write_json(const std::filesystem::path& path, const nlohmann::json& value) {
  write_file_atomically(path, json_text(value, path, 2) + '\n');
}

}  // namespace neural_attention::io
