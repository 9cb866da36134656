// Lines of text as they arrive: from a file, read at once (plain or gzip), or from standard input, for which `ready`
// says whether more is available without waiting. A line that is not text reports its problem; reading continues.
#pragma once

#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/io/platform.hpp"
#include "neural_attention/text/data/lines.hpp"

namespace examples {

namespace na = neural_attention;

class LineSource {
 public:
  /// The most bytes of a line of text.
  static constexpr std::size_t longest = na::text::longest_line;
  static constexpr std::size_t longest_written = na::text::longest_written_line;  ///< in the input

  /// Without its line end. If there is a `problem`, `text` is empty and the line cannot be used.
  struct Line {
    std::string text, problem;
  };

  /// Reads a whole file. Throws as read_text_bytes does.
  static LineSource file(const std::string& path) { return text(path, na::text::read_text_bytes(path)); }
  /// `bytes` were read from `path`.
  static LineSource text(const std::string& path, std::string bytes) {
    LineSource source(path, -1);
    source.buffer_ = std::move(bytes);
    source.ended_ = true;
    return source;
  }
  static LineSource standard_input() { return LineSource("standard input", 0); }

  const std::string& name() const { return name_; }
  /// The number of the last line taken, from 1.
  long number() const { return number_; }
  /// Of a file.
  std::size_t total() const {
    const auto ends = static_cast<std::size_t>(std::count(buffer_.begin(), buffer_.end(), '\n'));
    return ends + (!buffer_.empty() && buffer_.back() != '\n' ? 1 : 0);
  }

  /// Waits for the next line and takes it. False at the end. Throws FileError if reading fails.
  bool next(Line& line) {
    return next(line, -1.0, [] {});
  }
  /// The same; calls meanwhile() whenever no input has come for `seconds`.
  bool next(Line& line, double seconds, auto&& meanwhile) {
    line = {};
    bool too_long = false;
    std::size_t searched = next_, end;
    while ((end = buffer_.find('\n', searched)) == std::string::npos && !ended_) {
      if (buffer_.size() - next_ > longest_written) {  // the rest of it is not kept
        too_long = true;
        next_ = buffer_.size();
      }
      while (!more_is_here(seconds)) meanwhile();
      searched = read_more();
    }
    const bool last = end == std::string::npos;
    if (last && next_ == buffer_.size() && !too_long) return false;
    auto text = std::string_view(buffer_).substr(next_, (last ? buffer_.size() : end) - next_);
    next_ = last ? buffer_.size() : end + 1;
    if (++number_ == 1) text = na::text::without_byte_order_mark(text);
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (too_long || text.size() > longest) {
      line.problem = na::LineError(name_, number_, "is longer than " + std::to_string(longest) + " bytes").what();
      return true;
    }
    try {
      na::text::require_utf8(name_, number_, text);
      line.text = text;
    } catch (const na::LineError& error) {
      line.problem = error.what();
    }
    return true;
  }

  /// Whether `next` would not wait: a whole line is here already, or the end.
  bool ready() {
    while (buffer_.find('\n', next_) == std::string::npos && !ended_) {
      if (buffer_.size() - next_ > longest_written || !more_is_here(0.0)) return false;
      read_more();
    }
    return true;
  }

 private:
  LineSource(std::string name, int descriptor) : name_(std::move(name)), descriptor_(descriptor) {}

  /// Waits for `seconds` at most; without limit if they are negative.
  bool more_is_here(double seconds) const {
    pollfd wait{descriptor_, POLLIN, 0};
    return poll(&wait, 1, static_cast<int>(std::min(1e3 * seconds, 1e9))) > 0;
  }

  /// Drops the lines taken and appends a block; returns the offset of the block.
  std::size_t read_more() {
    buffer_.erase(0, next_);
    next_ = 0;
    const auto begin = buffer_.size();
    constexpr std::size_t block = 1 << 16;
    buffer_.resize(begin + block);
    const auto count = na::io::platform::read_some(descriptor_, buffer_.data() + begin, block, name_);
    buffer_.resize(begin + count);
    ended_ = count == 0;
    return begin;
  }

  std::string name_;
  int descriptor_;
  std::string buffer_;
  std::size_t next_ = 0;  // of the first byte not yet taken
  bool ended_ = false;
  long number_ = 0;
};

}  // namespace examples
