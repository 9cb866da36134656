// Definitions of what io/json_parser.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/json_parser.hpp"

namespace neural_attention::io::detail {

NEURAL_ATTENTION_INLINE void throw_json_fault(const std::filesystem::path& path, std::string_view text,
                                              std::size_t position, std::string_view complaint) {
  // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while parsing value - …"
  if (const auto end = complaint.find("] "); end != std::string_view::npos) complaint.remove_prefix(end + 2);
  if (complaint.starts_with("parse error")) {
    if (const auto end = complaint.find(": "); end != std::string_view::npos) complaint.remove_prefix(end + 2);
  }
  if (const auto end = complaint.find("; last read: "); end != std::string_view::npos)
    complaint = complaint.substr(0, end);  // what was read may be megabytes, and need not be UTF-8
  std::string reason(complaint.substr(0, 200));
  if (position == 0) throw FileError(path.string(), "is not valid JSON: " + reason);
  const auto before = text.substr(0, std::min(position - 1, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  throw FileError(path.string(), "is not valid JSON at line " + std::to_string(line) + ", column " +
                                     std::to_string(column) + " (byte " + std::to_string(before.size() + 1) +
                                     "): " + reason);
}

}  // namespace neural_attention::io::detail
