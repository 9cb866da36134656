// Definitions of what text/data/lines.hpp declares.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/io/mapped_file.hpp"
#include "neural_attention/text/data/lines.hpp"

namespace neural_attention::text {

NEURAL_ATTENTION_INLINE void require_utf8(const std::string& path, long line_number, std::string_view line) {
  if (const auto fault = utf8_fault(line); !fault.empty()) throw LineError(path, line_number, fault);
}

namespace lines_detail {

/// Takes the bytes of a gzip file piece by piece, member after member, and appends their content to a text.
class Gunzip {
 public:
  explicit Gunzip(const std::string& path) : path_(path) {
    constexpr int gzip_alone = 15 + 16;  // the largest window, and no other format
    if (inflateInit2(&stream_, gzip_alone) != Z_OK) throw FileError(path_, "cannot be decompressed: no memory");
  }
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;
  ~Gunzip() { inflateEnd(&stream_); }

  void take(std::span<char> bytes, std::string& text) {
    stream_.next_in = reinterpret_cast<Bytef*>(bytes.data());
    stream_.avail_in = static_cast<uInt>(bytes.size());
    for (bool held_back = false; stream_.avail_in > 0 || held_back;) {
      if (between_ && !begins_member()) return;
      stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
      stream_.avail_out = static_cast<uInt>(output_.size());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      const auto count = output_.size() - stream_.avail_out;
      text.append(output_.data(), count);
      total_ += count;
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
      throw FileError(path_, "the gzip stream ends early, after " + std::to_string(total_) + " bytes of text");
  }

 private:
  /// Whether another member begins here. Zeros up to the end of the file are padding, as on a tape.
  bool begins_member() {
    constexpr Bytef magic = 0x1F;
    if (*stream_.next_in == magic && !padded_) {
      between_ = false;
      return true;
    }
    const auto* const end = stream_.next_in + stream_.avail_in;
    padded_ = true;
    if (std::all_of(const_cast<const Bytef*>(stream_.next_in), end, [](Bytef byte) { return byte == 0; })) return false;
    throw FileError(path_, "has bytes after its gzip data that are not gzip data; " + std::to_string(total_) +
                               " bytes of text come before them");
  }

  const std::string& path_;
  z_stream stream_{};
  std::vector<char> output_ = std::vector<char>(std::size_t{1} << 18);
  std::uint64_t total_ = 0;
  bool between_ = false, padded_ = false;
};

/// A plain or gzip-compressed file, block by block. Functions throw FileError.
class TextFile {
 public:
  static constexpr std::size_t least_at_once = 64;                   // shows what kind of file it is
  static constexpr std::size_t most_at_once = std::size_t{1} << 14;  // 16 MiB at most when decompressed

  /// Reads `bytes` bytes at once.
  explicit TextFile(const std::string& path, std::size_t bytes = most_at_once)
      : path_(path), file_(nullptr, std::fclose), block_(bytes) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) throw FileError(path, "is a folder, not a text file");
    file_.reset(std::fopen(path.c_str(), "rb"));
    if (!file_) throw FileError(path, "cannot be opened: " + std::generic_category().message(errno));
  }

  /// Appends the next block to `text`; false at the end.
  bool read(std::string& text) {
    const auto count = std::fread(block_.data(), 1, block_.size(), file_.get());
    if (std::ferror(file_.get())) throw FileError(path_, "cannot be read: " + std::generic_category().message(errno));
    if (count == 0) {
      if (gunzip_) gunzip_->finish();
      return false;
    }
    if (size_ == 0) {
      if (count >= 2 && block_[0] == '\x1F' && block_[1] == '\x8B') gunzip_.emplace(path_);
      io::refuse_lfs_pointer({block_.data(), count}, path_);
    }
    size_ += count;
    gunzip_ ? gunzip_->take(std::span(block_).first(count), text)
            : static_cast<void>(text.append(block_.data(), count));
    return true;
  }

  /// The bytes that were read so far, compressed or not.
  std::uint64_t size() const { return size_; }

  /// Throws if `held`, the bytes in memory for what was read so far, is too much: beyond every bound, or out of all
  /// proportion to the file. `line` is the last line.
  void require_room(std::uint64_t held, std::size_t line) const {
    if (held > most_text)
      throw FileError(path_, "holds more text than " + std::to_string(most_text) + " bytes of memory" + up_to(line));
    require_proportion(held, line);
  }

  /// Throws if what was read so far makes so many bytes of text that the file was made to fill a memory or a disk.
  void require_proportion(std::uint64_t bytes, std::size_t line) const {
    constexpr std::uint64_t harmless = std::uint64_t{64} << 20, largest_ratio = 500;
    if (bytes > harmless && bytes / largest_ratio > size_)
      throw FileError(path_, "is not text: it becomes more than " + std::to_string(largest_ratio) + " times its size" +
                                 up_to(line));
  }

 private:
  static std::string up_to(std::size_t line) { return " (up to line " + std::to_string(line) + ")"; }

  const std::string& path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::optional<Gunzip> gunzip_;
  std::vector<char> block_;
  std::uint64_t size_ = 0;  // of what was read, compressed
};

/// Of `text` from `begin` on.
inline std::size_t line_ends(const std::string& text, std::size_t begin) {
  return static_cast<std::size_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(begin), text.end(), '\n'));
}

}  // namespace lines_detail

NEURAL_ATTENTION_INLINE std::string read_text_bytes(const std::string& path) {
  lines_detail::TextFile file(path);
  std::string bytes;
  for (std::size_t lines = 0, before = 0; file.read(bytes); before = bytes.size()) {
    lines += lines_detail::line_ends(bytes, before);
    file.require_room(bytes.size(), lines);
  }
  return bytes;
}

NEURAL_ATTENTION_INLINE void read_blocks(const std::string& path, const FindBorder& border,
                                         const std::function<void(const TextBlock&)>& use, std::size_t bytes) {
  using lines_detail::TextFile;
  TextFile file(path, std::clamp(bytes, TextFile::least_at_once, TextFile::most_at_once));
  std::string text;  // read, but not given yet
  std::uint64_t before = 0, read_before = 0;
  std::size_t searched = 0, lines = 0;
  const auto give = [&](std::size_t size) {
    use({std::string_view(text).substr(0, size), before, read_before, file.size()});
    before += size;
    read_before = file.size();
    text.erase(0, size);
  };
  for (std::size_t held = 0; file.read(text); held = text.size()) {
    lines += lines_detail::line_ends(text, held);
    file.require_room(text.size(), lines);
    file.require_proportion(before + text.size(), lines);
    if (text.size() < bytes) continue;
    if (const auto size = border(text, searched); size > 0) give(size);
    searched = text.size();
  }
  if (!text.empty()) give(text.size());
}

NEURAL_ATTENTION_INLINE std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  return text;
}

NEURAL_ATTENTION_INLINE std::vector<std::string> read_lines(const std::string& path) {
  const HostWork work("reading text");
  lines_detail::TextFile file(path);
  std::vector<std::string> lines;
  std::string text;  // read, but not cut into lines yet
  std::uint64_t held = 0;
  const auto add = [&](std::string_view line) {
    const auto number = static_cast<long>(lines.size()) + 1;
    if (lines.empty()) line = without_byte_order_mark(line);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() > longest_line)
      throw LineError(path, number, "is longer than " + std::to_string(longest_line) + " bytes");
    require_utf8(path, number, line);
    held += sizeof(std::string) + line.size();
    lines.emplace_back(line);
  };
  while (file.read(text)) {
    std::string_view rest(text);
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      add(rest.substr(0, end));
      rest.remove_prefix(end + 1);
    }
    if (rest.size() > longest_written_line) add(rest);  // throws
    file.require_room(held, lines.size());
    text.erase(0, text.size() - rest.size());
  }
  if (lines.empty() && without_byte_order_mark(text).empty())
    throw FileError(path, "is empty, at least one line was expected");
  if (!text.empty()) add(text);
  return lines;
}

NEURAL_ATTENTION_INLINE std::string find_text_file(const std::string& directory, const std::string& name) {
  const auto plain = (std::filesystem::path(directory) / name).string();
  std::error_code ignored;
  for (const auto& candidate : {plain, plain + ".gz"})
    if (std::filesystem::exists(candidate, ignored)) return candidate;
  throw FileError(plain, "does not exist, and neither does " + plain + ".gz");
}

}  // namespace neural_attention::text
