// Files with one JSON value per line, such as metrics.jsonl.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/io/json_parser.hpp"
#include "neural_attention/io/mapped_file.hpp"

namespace neural_attention::io {

inline constexpr std::size_t longest_json_line = std::size_t{1} << 20;  ///< bytes

/// How to treat a last line without a line end, which a killed writer leaves.
enum class TornLine {
  Refuse,
  LeaveOut  ///< if it is not JSON
};

/// Calls use(row) for each line of the file. Throws FileError if the file cannot be read, and LineError for a line that
/// is longer than 1 MiB or is not JSON. If `use` throws a FileError that names the file, it becomes a LineError with
/// the line.
template <class Json, class Use>
void read_json_lines(const std::filesystem::path& path, TornLine torn, Use use) {
  const MappedFile file(path);
  std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  for (long number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    const bool has_end = end != std::string_view::npos;
    const auto line = rest.substr(0, end);
    rest.remove_prefix(has_end ? end + 1 : rest.size());
    try {
      if (line.size() > longest_json_line)
        throw FileError(path.string(), "is longer than " + std::to_string(longest_json_line) + " bytes");
      Json row;
      try {
        row = parse_json<Json>(line, path);
      } catch (const FileError&) {
        if (!has_end && torn == TornLine::LeaveOut) return;
        throw;
      }
      use(row);
    } catch (const LineError&) {
      throw;
    } catch (const FileError& error) {
      if (error.path() != path.string()) throw;
      throw LineError(path.string(), number, std::string(error.what()).substr(error.path().size() + 2));
    }
  }
}

}  // namespace neural_attention::io
