// Lines of a text file, plain or gzip-compressed, checked to be UTF-8. zlib recognises gzip by its first bytes, so the
// name does not matter. A byte order mark and the carriage returns of Windows line ends are taken away.
#pragma once

#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/text/utf8.hpp"

namespace neural_attention::text {

/// Throws LineError, naming the byte and its place (from 1) in the line, unless `line` is well-formed UTF-8.
inline void require_utf8(const std::string& path, long line_number, std::string_view line) {
  std::size_t bad = 0;
  if (valid_utf8(line, bad)) return;
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(line[bad]);
  throw LineError(path, line_number,
                  std::string("byte 0x") + digits[byte >> 4] + digits[byte & 15] + " at place " +
                      std::to_string(bad + 1) + " of the line does not begin a valid UTF-8 character");
}

/// All bytes of a plain or gzip-compressed file. Throws FileError where it cannot be opened, cannot be read, or is a
/// truncated or corrupt gzip file.
inline std::string read_text_bytes(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw FileError(path, "is a folder, not a text file");
  errno = 0;
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose_r);
  if (!file) {
    const int code = errno;
    throw FileError(path, "cannot be opened: " + std::generic_category().message(code == 0 ? ENOMEM : code));
  }
  std::string bytes;
  std::vector<char> buffer(std::size_t{1} << 18);
  int count = 0;
  while ((count = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()))) > 0)
    bytes.append(buffer.data(), static_cast<std::size_t>(count));

  // A stream that stops early ends like a complete one, with 0; only the status tells them apart.
  int status = Z_OK;
  const char* const text = gzerror(file.get(), &status);
  if (status == Z_BUF_ERROR)
    throw FileError(path, "the gzip stream ends early, after " + std::to_string(bytes.size()) + " bytes of text");
  if (status == Z_ERRNO) throw FileError(path, "cannot be read: " + std::generic_category().message(errno));
  if (count < 0 || (status != Z_OK && status != Z_STREAM_END))
    throw FileError(path, std::string("the gzip stream is corrupt (") + text + ")");
  return bytes;
}

/// `text` without the byte order mark that it may begin with.
inline std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  return text;
}

/// The lines of a plain or gzip-compressed UTF-8 file, without line ends. A last line may lack its line end.
/// Throws FileError for a file that is missing, unreadable, damaged or without a line, LineError for broken UTF-8.
inline std::vector<std::string> read_lines(const std::string& path) {
  const std::string bytes = read_text_bytes(path);
  auto rest = without_byte_order_mark(bytes);
  if (rest.empty()) throw FileError(path, "is empty, at least one line was expected");

  std::vector<std::string> lines;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    auto line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    require_utf8(path, static_cast<long>(lines.size()) + 1, line);
    lines.emplace_back(line);
  }
  return lines;
}

/// `directory`/`name` where it exists, else `directory`/`name`.gz. Throws FileError that names both where neither does.
inline std::string find_text_file(const std::string& directory, const std::string& name) {
  const auto plain = (std::filesystem::path(directory) / name).string();
  std::error_code ignored;
  for (const auto& candidate : {plain, plain + ".gz"})
    if (std::filesystem::exists(candidate, ignored)) return candidate;
  throw FileError(plain, "does not exist, and neither does " + plain + ".gz");
}

}  // namespace neural_attention::text
