// Lines of a text file, plain or gzip-compressed, checked to be UTF-8. Gzip is recognised by its first bytes, so
// the name does not matter. A byte order mark and the carriage returns of Windows line ends are taken away.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
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

namespace lines_detail {

/// Takes the bytes of a gzip file piece by piece, member after member, and appends what they hold to `text`.
class Gunzip {
 public:
  Gunzip(const std::string& path, std::string& text) : path_(path), text_(text) {
    constexpr int gzip_alone = 15 + 16;  // the largest window, and no other format
    if (inflateInit2(&stream_, gzip_alone) != Z_OK) throw FileError(path_, "cannot be decompressed: no memory");
  }
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;
  ~Gunzip() { inflateEnd(&stream_); }

  void take(std::span<char> bytes) {
    stream_.next_in = reinterpret_cast<Bytef*>(bytes.data());
    stream_.avail_in = static_cast<uInt>(bytes.size());
    for (bool held_back = false; stream_.avail_in > 0 || held_back;) {
      if (between_ && !begins_member()) return;
      stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
      stream_.avail_out = static_cast<uInt>(output_.size());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      text_.append(output_.data(), output_.size() - stream_.avail_out);
      held_back = stream_.avail_out == 0 && status == Z_OK;
      if (status == Z_STREAM_END) {
        inflateReset(&stream_);
        between_ = true;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        throw FileError(path_,
                        std::string("the gzip stream is corrupt (") + (stream_.msg ? stream_.msg : "zlib") + ")");
      }
    }
  }

  void finish() const {
    if (!between_)
      throw FileError(path_, "the gzip stream ends early, after " + std::to_string(text_.size()) + " bytes of text");
  }

 private:
  /// Whether a further member begins here. Zeros to the end of the file are padding, as from a tape.
  bool begins_member() {
    constexpr Bytef magic = 0x1F;
    if (*stream_.next_in == magic && !padded_) {
      between_ = false;
      return true;
    }
    const auto* const end = stream_.next_in + stream_.avail_in;
    padded_ = true;
    if (std::all_of(const_cast<const Bytef*>(stream_.next_in), end, [](Bytef byte) { return byte == 0; })) return false;
    throw FileError(path_, "has bytes behind its gzip data that are no gzip data; " + std::to_string(text_.size()) +
                               " bytes of text come before them");
  }

  const std::string& path_;
  std::string& text_;
  z_stream stream_{};
  std::vector<char> output_ = std::vector<char>(std::size_t{1} << 18);
  bool between_ = false, padded_ = false;
};

}  // namespace lines_detail

/// All bytes of a plain or gzip-compressed file. Throws FileError where it cannot be opened, cannot be read, or is a
/// gzip file that is truncated, corrupt, or followed by something else.
inline std::string read_text_bytes(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw FileError(path, "is a folder, not a text file");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw FileError(path, "cannot be opened: " + std::generic_category().message(errno));
  std::string bytes;
  std::optional<lines_detail::Gunzip> gunzip;
  std::vector<char> buffer(std::size_t{1} << 18);
  for (bool first = true;; first = false) {
    const auto count = std::fread(buffer.data(), 1, buffer.size(), file.get());
    if (std::ferror(file.get())) throw FileError(path, "cannot be read: " + std::generic_category().message(errno));
    if (count == 0) break;
    if (first && count >= 2 && buffer[0] == '\x1F' && buffer[1] == '\x8B') gunzip.emplace(path, bytes);
    gunzip ? gunzip->take(std::span(buffer).first(count)) : static_cast<void>(bytes.append(buffer.data(), count));
  }
  if (gunzip) gunzip->finish();
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
