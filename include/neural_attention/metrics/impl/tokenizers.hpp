// Definitions of what metrics/tokenizers.hpp declares.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/metrics/tokenizers.hpp"
#include "neural_attention/metrics/unicode_categories.hpp"

namespace neural_attention::metrics {

NEURAL_ATTENTION_INLINE BleuTokenizer bleu_tokenizer(std::string_view name) {
  std::string names;
  for (const auto& [tokenizer, known] : bleu_tokenizers) {
    if (known == name) return tokenizer;
    names.append(names.empty() ? "" : ", ").append(known);
  }
  throw ConfigError("BLEU's tokenizer must be one of " + names + ", not \"" + std::string(name.substr(0, 40)) + "\"");
}

namespace detail {

enum class TokenKind { Letter, Digit, Stop, Symbol, Dash };

/// The kind of the character at the beginning of a text, and its length in bytes.
struct TokenCharacter {
  TokenKind kind;
  std::size_t bytes;
};

/// For 13a: printable ASCII that is neither letter nor digit is a symbol, except the apostrophe.
constexpr TokenKind kind_13a(char c) {
  if (c >= '0' && c <= '9') return TokenKind::Digit;
  if (c == '.' || c == ',') return TokenKind::Stop;
  if (c == '-') return TokenKind::Dash;
  const bool symbol =
      (c >= '!' && c <= '/' && c != '\'') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
  return symbol ? TokenKind::Symbol : TokenKind::Letter;
}

inline TokenCharacter classify_13a(std::string_view text) { return {kind_13a(text[0]), 1}; }

/// sacreBLEU intends U+20000 … U+2A6D6 here, but writes '\u20000' and '\u2a6d6', two characters each. The range between
/// these is U+2001 … U+2A6D, which includes dashes and quotation marks.
inline constexpr CharacterRange chinese_ranges[] = {
    {0x2001, 0x2A6D}, {0x2E80, 0x2EFF}, {0x2F00, 0x2FDF}, {0x2FF0, 0x2FFF}, {0x3000, 0x303F}, {0x3100, 0x312F},
    {0x31A0, 0x31BF}, {0x31C0, 0x31EF}, {0x3200, 0x33FF}, {0x3400, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D},
    {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF}};

inline TokenCharacter classify_chinese(std::string_view text) {
  const auto bytes = utf8_length(text);
  if (bytes < 2) return classify_13a(text);
  const auto character = decode_utf8(text.substr(0, bytes));
  return {is_within(chinese_ranges, character) ? TokenKind::Symbol : TokenKind::Letter, bytes};
}

inline TokenCharacter classify_international(std::string_view text) {
  const auto bytes = utf8_length(text);
  if (bytes == 0) return {TokenKind::Letter, 1};
  const auto character = decode_utf8(text.substr(0, bytes));
  if (is_within(number_ranges, character)) return {TokenKind::Digit, bytes};
  if (is_within(punctuation_ranges, character)) return {TokenKind::Stop, bytes};
  return {is_within(symbol_ranges, character) ? TokenKind::Symbol : TokenKind::Letter, bytes};
}

/// Whether the originals pad a text with a space at both ends.
enum class TextEnds { Padded, Bare };

/// A symbol stands alone, and so does a dash after a digit. So does each stop of a run, unless the last one belongs to
/// a digit that follows.
///
/// The originals take stops in pairs that do not overlap, (non-digit, stop), then (stop, non-digit). In a run of k
/// stops, the last one escapes the first rule if k is even after a non-digit or odd after a digit. If a digit follows,
/// it escapes the second rule too and stays with that digit ("a..5" gives a . .5); a single stop with a digit on both
/// sides stays with both ("1,000.5"). At the ends of a text that the originals do not pad with a space, there is
/// nothing to pair with, so the ends act like digits.
template <class Classify>
std::vector<std::string> split_tokens(std::string_view text, TextEnds ends, const Classify& classify) {
  const bool padded = ends == TextEnds::Padded;
  std::vector<std::string> tokens;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) tokens.push_back(std::exchange(word, {}));
  };
  const auto alone = [&](std::string_view token) {
    end_word();
    tokens.emplace_back(token);
  };

  bool after_digit = false;
  for (std::size_t i = 0; i < text.size();) {
    if (const auto space = leading_space(text.substr(i)); space > 0) {
      end_word();
      i += space;
      after_digit = false;
      continue;
    }
    const auto character = classify(text.substr(i));
    if (character.kind == TokenKind::Stop) {
      std::size_t stops = 0, last = i, end = i;
      auto next = character;
      do {
        last = end;
        end += next.bytes;
        ++stops;
        if (end < text.size()) next = classify(text.substr(end));
      } while (end < text.size() && next.kind == TokenKind::Stop);
      const bool digit_before = after_digit || (i == 0 && !padded);
      const bool digit_behind = end < text.size() ? next.kind == TokenKind::Digit : !padded;
      const bool bound = digit_behind && (stops + (digit_before ? 1 : 0)) % 2 == 0;
      for (std::size_t bytes = 0; i < (bound ? last : end); i += bytes) {
        bytes = classify(text.substr(i)).bytes;
        alone(text.substr(i, bytes));
      }
      if (bound) word += text.substr(last, end - last);
      i = end;
    } else {
      const auto bytes = text.substr(i, character.bytes);
      if (character.kind == TokenKind::Symbol || (character.kind == TokenKind::Dash && after_digit))
        alone(bytes);
      else
        word += bytes;
      i += character.bytes;
    }
    after_digit = character.kind == TokenKind::Digit;
  }
  end_word();
  return tokens;
}

/// First removes the markup of old test sets, in this order: <skipped>, hyphenation at a line break, four entities (so
/// `&amp;lt;` becomes `<`).
inline std::vector<std::string> tokenize_13a(std::string_view segment) {
  if (segment.find_first_of("<-&") == std::string_view::npos)
    return split_tokens(segment, TextEnds::Padded, classify_13a);
  using Rule = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Rule, 6> rules = {Rule{"<skipped>", ""}, Rule{"-\n", ""},   Rule{"&quot;", "\""},
                                         Rule{"&amp;", "&"},    Rule{"&lt;", "<"}, Rule{"&gt;", ">"}};
  std::string text(segment);
  for (const auto& [from, to] : rules) text = replace_all(text, from, to);
  return split_tokens(text, TextEnds::Padded, classify_13a);
}

/// Each character becomes a token.
inline TokenCharacter classify_characters(std::string_view text) {
  return {TokenKind::Symbol, std::max<std::size_t>(1, utf8_length(text))};
}

/// Splits only at white space.
inline TokenCharacter classify_none(std::string_view) { return {TokenKind::Letter, 1}; }

}  // namespace detail

NEURAL_ATTENTION_INLINE std::vector<std::string> tokenize(std::string_view segment, BleuTokenizer tokenizer) {
  segment = strip_right(segment);
  switch (tokenizer) {
    case BleuTokenizer::Mteval13a:
      return detail::tokenize_13a(segment);
    case BleuTokenizer::International:
      return detail::split_tokens(segment, detail::TextEnds::Bare, detail::classify_international);
    case BleuTokenizer::Characters:
      return detail::split_tokens(segment, detail::TextEnds::Bare, detail::classify_characters);
    case BleuTokenizer::Chinese:
      return detail::split_tokens(strip_left(segment), detail::TextEnds::Bare, detail::classify_chinese);
    case BleuTokenizer::None:
      break;
  }
  return detail::split_tokens(segment, detail::TextEnds::Bare, detail::classify_none);
}

}  // namespace neural_attention::metrics
