// The 13a tokenizer, with which sacreBLEU 2.4.3 (and mteval-v13a.pl before it) cuts a segment before counting n-grams.
// Input is UTF-8. Only ASCII punctuation separates words; white space is what Python's str.split() takes for it.
// The four chained regular expressions of the original amount to a local rule for each character: an ASCII symbol
// stands alone, a dash after a digit stands alone, and a run of full stops and commas stands alone except where its
// last member is bound to a digit that follows (see split_13a). So one pass suffices.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace neural_attention::metrics {

namespace detail {

/// The number of bytes of the white-space character that `text` begins with, 0 if it begins with none.
/// These are the 29 characters for which Python's str.isspace() holds; other UTF-8, broken or not, is not white space.
constexpr std::size_t leading_space(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0);
  if (first < 0x80) return (first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x20) ? 1 : 0;
  const unsigned second = byte(1);
  if (first == 0xC2) return second == 0x85 || second == 0xA0 ? 2 : 0;  // next line, no-break space
  const unsigned third = byte(2);
  if (first == 0xE1) return second == 0x9A && third == 0x80 ? 3 : 0;  // U+1680
  if (first == 0xE3) return second == 0x80 && third == 0x80 ? 3 : 0;  // U+3000
  if (first != 0xE2) return 0;
  if (second == 0x81) return third == 0x9F ? 3 : 0;  // U+205F
  if (second != 0x80) return 0;
  const bool space = (third >= 0x80 && third <= 0x8A) || third == 0xA8 || third == 0xA9 || third == 0xAF;
  return space ? 3 : 0;  // U+2000 to U+200A, U+2028, U+2029, U+202F
}

/// `text` without the white space at its end, as Python's str.rstrip().
constexpr std::string_view strip_right(std::string_view text) {
  for (std::size_t length = 1; length <= 3 && length <= text.size();) {
    if (leading_space(text.substr(text.size() - length)) == length) {
      text.remove_suffix(length);
      length = 1;
    } else {
      ++length;
    }
  }
  return text;
}

/// Replaces from left to right; what a replacement creates is not looked at again.
inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  auto found = text.find(from);
  if (found == std::string::npos) return;
  std::string result;
  std::size_t start = 0;
  for (; found != std::string::npos; found = text.find(from, start)) {
    result.append(text, start, found - start).append(to);
    start = found + from.size();
  }
  text = std::move(result.append(text, start, std::string::npos));
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_stop(char c) { return c == '.' || c == ','; }

/// Printable ASCII that is neither letter nor digit, less the four with rules of their own or none: ' - . ,
constexpr bool is_symbol(char c) {
  return (c >= '!' && c <= '/' && c != '\'' && c != '-' && !is_stop(c)) || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/// Cuts text that has no markup left.
///
/// The original takes stops in non-overlapping pairs (non-digit, stop), then (stop, non-digit). For a run of k stops
/// this means: the last one escapes the first rule when k is even after a non-digit or odd after a digit, and the
/// second when a digit follows; then it stays with that digit ("a..5" gives a . .5), and a lone one, which has a digit
/// before it too, with both ("1,000.5"). Every other stop becomes a token.
inline std::vector<std::string> split_13a(std::string_view text) {
  std::vector<std::string> tokens;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) tokens.push_back(std::exchange(word, {}));
  };
  const auto alone = [&](char c) {
    end_word();
    tokens.emplace_back(1, c);
  };
  const auto digit_at = [text](std::size_t i) { return i < text.size() && is_digit(text[i]); };

  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const bool after_digit = i > 0 && is_digit(text[i - 1]);
    if (const auto space = leading_space(text.substr(i)); space > 0) {
      end_word();
      i += space;
    } else if (is_stop(c)) {
      std::size_t end = i;
      while (end < text.size() && is_stop(text[end])) ++end;
      const std::size_t run = end - i;
      const bool bound = digit_at(end) && (run + (after_digit ? 1 : 0)) % 2 == 0;
      for (; i + (bound ? 1 : 0) < end; ++i) alone(text[i]);
      if (bound) word += text[i++];
    } else {
      if (is_symbol(c) || (c == '-' && after_digit)) {
        alone(c);
      } else {
        word += c;
      }
      ++i;
    }
  }
  end_word();
  return tokens;
}

}  // namespace detail

/// The tokens of one segment. Joined by single spaces they are what sacreBLEU's `Tokenizer13a` returns.
/// The markup of old test sets goes first, in this order: <skipped>, hyphenation at a line break, four entities
/// (so `&amp;lt;` becomes `<`).
inline std::vector<std::string> tokenize_13a(std::string_view segment) {
  if (segment.find_first_of("<-&") == std::string_view::npos) return detail::split_13a(segment);
  std::string text(segment);
  detail::replace_all(text, "<skipped>", "");
  detail::replace_all(text, "-\n", "");
  detail::replace_all(text, "&quot;", "\"");
  detail::replace_all(text, "&amp;", "&");
  detail::replace_all(text, "&lt;", "<");
  detail::replace_all(text, "&gt;", ">");
  return detail::split_13a(text);
}

}  // namespace neural_attention::metrics
