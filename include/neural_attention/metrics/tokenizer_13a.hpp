// The 13a tokenizer, with which sacreBLEU 2.4.3 (and mteval-v13a.pl before it) cuts a segment before counting n-grams.
// Input is UTF-8. Only ASCII punctuation separates words; white space is what Python's str.split() takes for it.
// The four chained regular expressions of the original amount to a local rule for each character: an ASCII symbol
// stands alone, a dash after a digit stands alone, and a run of full stops and commas stands alone except where its
// last member is bound to a digit that follows (see split_13a). So one pass suffices.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/text/utf8.hpp"

namespace neural_attention::metrics {

namespace detail {

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
    if (const auto space = neural_attention::text::leading_space(text.substr(i)); space > 0) {
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
  using Rule = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Rule, 6> rules = {Rule{"<skipped>", ""}, Rule{"-\n", ""},   Rule{"&quot;", "\""},
                                         Rule{"&amp;", "&"},    Rule{"&lt;", "<"}, Rule{"&gt;", ">"}};
  std::string text(segment);
  for (const auto& [from, to] : rules) text = neural_attention::text::replace_all(text, from, to);
  return detail::split_13a(text);
}

}  // namespace neural_attention::metrics
