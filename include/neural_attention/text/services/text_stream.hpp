// TextStream: makes readable text of the bytes of tokens as they come. It gives whole UTF-8 characters only, and no
// text that may yet turn out to be the beginning of a stop string.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "neural_attention/core/utf8.hpp"

namespace neural_attention::text {

/// The settled part of a text never changes, and does not depend on how tokens cut it. Bytes that are no UTF-8 become
/// U+FFFD, as in Hugging Face: one for each longest beginning of a character.
class TextStream {
 public:
  /// `stops` hold no empty string and must outlive it.
  explicit TextStream(std::span<const std::string> stops) : stops_(stops) {}

  /// Takes the bytes of a token. True from when the text has a stop string, before the first one of which it ends.
  bool push(std::string_view bytes) {
    if (stopped_) return true;
    unread_ += bytes;
    read_characters();
    find_stop();
    if (!stopped_) settled_ = text_.size() - longest_beginning();
    return stopped_;
  }

  /// Nothing follows: what was held back belongs to the text.
  void end() {
    if (!unread_.empty()) text_ += replacement;
    settle();
  }

  /// What was settled since the last call.
  std::string_view take() {
    const auto from = taken_;
    taken_ = settled_;
    return std::string_view(text_).substr(from, settled_ - from);
  }

  /// All that was taken.
  std::string_view taken() const { return std::string_view(text_).substr(0, taken_); }
  bool stopped() const { return stopped_; }

 private:
  static constexpr std::string_view replacement = "\xEF\xBF\xBD";

  /// Whether `bytes` are the beginning of a character and not all of it.
  static bool begins_character(std::string_view bytes) {
    if (bytes.size() > 3 || utf8_length(bytes) > 0) return false;
    const auto completed = [&](char filling) {
      return utf8_length(std::string(bytes) + std::string(4 - bytes.size(), filling)) > bytes.size();
    };
    return completed('\x80') || completed('\xBF');  // the lowest and the highest byte that may follow
  }

  /// Moves whole characters from unread_ to text_.
  void read_characters() {
    std::string_view rest = unread_;
    while (!rest.empty() && !begins_character(rest)) {
      auto length = utf8_length(rest);
      if (length > 0) {
        text_ += rest.substr(0, length);
      } else {
        text_ += replacement;
        for (length = 1; length < rest.size() && begins_character(rest.substr(0, length + 1));) ++length;
      }
      rest.remove_prefix(length);
    }
    unread_.erase(0, unread_.size() - rest.size());
  }

  /// Cuts the text before the stop string that ends first, of several the one that begins first.
  void find_stop() {
    auto begin = std::string::npos, end = std::string::npos;
    for (const auto& stop : stops_) {
      const auto found = text_.find(stop, settled_);
      if (found == std::string::npos) continue;
      const auto behind = found + stop.size();
      if (behind < end || (behind == end && found < begin)) begin = found, end = behind;
    }
    if (begin == std::string::npos) return;
    text_.resize(begin);
    stopped_ = true;
    settle();
  }

  void settle() {
    unread_.clear();
    settled_ = text_.size();
  }

  /// Bytes at the end that may be the beginning of a stop string.
  std::size_t longest_beginning() const {
    std::size_t longest = 0;
    const auto rest = std::string_view(text_).substr(settled_);
    for (const std::string_view stop : stops_)
      for (auto length = std::min(stop.size() - 1, rest.size()); length > longest; --length)
        if (rest.ends_with(stop.substr(0, length))) longest = length;
    return longest;
  }

  std::span<const std::string> stops_;
  std::string text_;    // whole characters
  std::string unread_;  // the beginning of one
  std::size_t settled_ = 0, taken_ = 0;
  bool stopped_ = false;
};

}  // namespace neural_attention::text
