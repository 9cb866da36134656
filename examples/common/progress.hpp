// A progress line for long work. On a terminal, it redraws one line in place, at most ten times a second:
//   linear  ━━━━━━━━━━────────── 512/1000  loss 2.31  lr 4.5e-04  tok/s 12.3 k  0:31 < 0:29
// Elsewhere (a file, a pipe), it writes a plain line now and then. Use it from one thread at a time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "table.hpp"

#if defined(_WIN32)
#include <io.h>
#else
#include <sys/ioctl.h>
#include <unistd.h>
#endif

namespace examples {

inline bool is_terminal(std::FILE* file) {
#if defined(_WIN32)
  return _isatty(_fileno(file)) != 0;
#else
  return isatty(fileno(file)) != 0;
#endif
}

/// Columns of the terminal of `file`; 80 if unknown.
inline std::size_t terminal_width(std::FILE* file) {
#if !defined(_WIN32)
  winsize size{};
  if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
#else
  (void)file;
#endif
  return 80;
}

class Progress {
 public:
  struct Field {
    std::string_view name;
    std::string value;
  };

  /// `total` steps (0: unknown). Without a terminal, it writes a line every `plain_seconds`.
  Progress(std::int64_t total, std::string label, std::FILE* out = stderr, double plain_seconds = 10.0)
      : total_(total), label_(std::move(label)), out_(out), plain_seconds_(plain_seconds), terminal_(is_terminal(out)) {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    if (term && std::string_view(term) == "dumb") terminal_ = false;
    color_ = terminal_ && (!no_color || *no_color == '\0');
  }

  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Leaves the last state visible and moves the cursor to a new line, also after an exception.
  ~Progress() {
    if (finished_ || !drawn_) return;
    draw();
    if (terminal_) std::fputs("\n", out_);
    std::fflush(out_);
  }

  /// Work of an earlier run: it counts in the bar, but not in the estimate of the time left.
  void start_at(std::int64_t step) { first_ = step_ = step; }

  /// Step `step` (of the total) is done. Draws if the last drawing is old enough.
  void update(std::int64_t step, std::span<const Field> fields) {
    step_ = step;
    fields_.clear();
    for (const Field& field : fields) {
      if (!fields_.empty()) fields_ += "  ";
      fields_ += std::string(field.name) + (field.name.empty() ? "" : " ") + field.value;
    }
    if (finished_) return;
    const double wait = terminal_ ? 0.1 : plain_seconds_;
    if (drawn_ && seconds_since(last_draw_) < wait && !(terminal_ && step_ == total_)) return;
    draw();
  }

  void update(std::int64_t step, std::initializer_list<Field> fields = {}) {
    update(step, std::span<const Field>(fields.begin(), fields.size()));
  }

  /// Prints `text`, without a newline, as a line above the bar.
  void message(std::string_view text) {
    clear();
    std::fprintf(out_, "%.*s\n", static_cast<int>(text.size()), text.data());
    if (terminal_ && drawn_ && !finished_)
      draw();
    else
      std::fflush(out_);
  }

  /// Ends the bar and leaves `text` or, if it is empty, the last state. Later calls do nothing.
  void finish(std::string_view text = {}) {
    if (finished_) return;
    if (text.empty()) {
      draw();
      if (terminal_) std::fputs("\n", out_);
    } else {
      clear();
      std::fprintf(out_, "%.*s\n", static_cast<int>(text.size()), text.data());
    }
    finished_ = true;
    std::fflush(out_);
  }

  double elapsed_seconds() const { return seconds_since(start_); }

  /// Seconds to the end at the mean pace so far; not finite if unknown.
  double remaining_seconds() const {
    const auto done = step_ - first_;
    if (total_ <= 0 || done <= 0) return std::numeric_limits<double>::infinity();
    return elapsed_seconds() / static_cast<double>(done) *
           static_cast<double>(std::max<std::int64_t>(total_ - step_, 0));
  }

  struct LineStyle {
    bool bar = false, color = false;
  };

  /// The line for `width` columns: shortens first the bar, then the end of the line.
  std::string line(std::size_t width, const LineStyle& style) const {
    std::string counts = with_commas(step_);
    if (total_ > 0) counts = padded(counts, with_commas(total_).size(), Align::right) + "/" + with_commas(total_);
    std::string times = clock_time(elapsed_seconds());
    if (total_ > 0 && step_ < total_) times += " < " + clock_time(remaining_seconds());
    std::string tail = counts;
    if (!fields_.empty()) tail += "  " + fields_;
    tail += "  " + times;

    std::string head = label_.empty() ? "" : label_ + "  ";
    const std::size_t text = display_width(head) + display_width(tail);
    constexpr std::size_t least = 6, most = 30;
    if (!style.bar || total_ <= 0 || text + least + 1 > width) return cut_to_width(head + tail, width);
    const std::size_t cells = std::min(most, width - text - 1);
    const double share = std::clamp(static_cast<double>(step_) / static_cast<double>(total_), 0.0, 1.0);
    const auto full = static_cast<std::size_t>(share * static_cast<double>(cells));
    std::string picture = style.color ? "\x1b[36m" : "";
    for (std::size_t i = 0; i < full; ++i) picture += "━";
    if (style.color) picture += "\x1b[90m";
    for (std::size_t i = full; i < cells; ++i) picture += style.color ? "━" : "─";
    if (style.color) picture += "\x1b[0m";
    return head + picture + " " + tail;
  }

 private:
  using Clock = std::chrono::steady_clock;

  static double seconds_since(Clock::time_point then) {
    return std::chrono::duration<double>(Clock::now() - then).count();
  }

  void clear() {
    if (terminal_ && drawn_ && !finished_) std::fputs("\r\x1b[2K", out_);
  }

  void draw() {
    if (terminal_) {
      // One column stays free, because some terminals wrap after the last column.
      const std::string text = line(terminal_width(out_) - 1, {.bar = true, .color = color_});
      std::fprintf(out_, "\r\x1b[2K%s", text.c_str());
    } else {
      std::fprintf(out_, "%s\n", line(std::numeric_limits<std::size_t>::max(), {}).c_str());
    }
    std::fflush(out_);
    drawn_ = true;
    last_draw_ = Clock::now();
  }

  std::int64_t total_, step_ = 0, first_ = 0;
  std::string label_, fields_;
  std::FILE* out_;
  double plain_seconds_;
  bool terminal_, color_ = false, drawn_ = false, finished_ = false;
  Clock::time_point start_ = Clock::now(), last_draw_{};
};

}  // namespace examples
