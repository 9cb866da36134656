// Tokens that are cut out of a text before it is split into words, such as "<mask>" in "Paris is <mask>.": Hugging
// Face's AddedToken. If several begin at one place, the longest wins. A token with lstrip includes the white space on
// its left, one with rstrip the white space on its right (Unicode's White_Space); a token that is a single word is not
// found next to a word character. Tokens that are not normalized are searched first; then the caller normalizes the
// rest of the text, and normalized tokens are searched in it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/utf8.hpp"
#include "neural_attention/core/white_space.hpp"
#include "neural_attention/text/tokenizers/word_splitter.hpp"

namespace neural_attention::text {

struct AddedToken {
  std::string content;  ///< not empty
  int id = 0;
  bool lstrip = false, rstrip = false, normalized = false;
  bool special = true;       ///< left out of decoded text if asked for
  bool single_word = false;  ///< found only if it is not a part of a word

  bool operator==(const AddedToken&) const = default;
};

/// A stretch of a text: an added token, or ordinary text if `id` is -1.
struct TokenStretch {
  std::string_view text;
  int id = -1;
};

/// The length in bytes of the Unicode White_Space character at the beginning of `text`; 0 if there is none.
inline std::size_t leading_white_space(std::string_view text) {
  return !text.empty() && text[0] >= 0x1C && text[0] <= 0x1F ? 0 : leading_space(text);  // these are Python's alone
}

/// The same at the end of `text`.
inline std::size_t trailing_white_space(std::string_view text) {
  const auto last = last_character(text);
  return leading_white_space(last) == last.size() ? last.size() : 0;
}

/// All const functions may be called from several threads at once.
class AddedTokens {
 public:
  /// Which tokens: those that are looked for in the text as it is written, or those in its normalized form.
  enum class Of { Written, Normalized };

  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
    for (const auto& token : tokens_)
      (token.normalized ? begins_normalized_ : begins_)[static_cast<unsigned char>(token.content[0])] = true;
  }

  const std::vector<AddedToken>& tokens() const noexcept { return tokens_; }

  /// Whether tokens on one side of a place where white space begins may depend on the other side: a token holds
  /// such a place, takes the white space behind it along, or begins with white space and looks at what is in front.
  bool reach_over_spaces() const {
    return std::any_of(tokens_.begin(), tokens_.end(), [](const AddedToken& token) {
      std::string_view rest = token.content;
      while (leading_white_space(rest) > 0) rest.remove_prefix(leading_white_space(rest));
      bool reaches = token.rstrip || (token.single_word && rest.size() < token.content.size());
      for (; !rest.empty(); rest.remove_prefix(1)) reaches = reaches || leading_white_space(rest) > 0;
      return reaches;
    });
  }

  /// Cuts `text` at the tokens that it holds.
  std::vector<TokenStretch> cut(std::string_view text) const {
    std::vector<TokenStretch> first, second;
    cut(text, Of::Written, first);
    for (const auto& stretch : first) {
      if (stretch.id >= 0)
        second.push_back(stretch);
      else
        cut(stretch.text, Of::Normalized, second);
    }
    return second;
  }

  /// Appends the stretches that these tokens make of `text`.
  void cut(std::string_view text, Of tokens, std::vector<TokenStretch>& result) const {
    const bool normalized = tokens == Of::Normalized;
    const auto& begins = normalized ? begins_normalized_ : begins_;
    std::size_t done = 0, run_end = 0;  // of what is in `result`, and of the last white space that was walked
    for (std::size_t at = 0; at < text.size();) {
      const auto* const token =
          begins[static_cast<unsigned char>(text[at])] ? longest_at(text.substr(at), normalized) : nullptr;
      if (token == nullptr) {
        ++at;
        continue;
      }
      auto begin = at, end = at + token->content.size();
      if (token->single_word && (ends_in_word(text.substr(0, begin)) || begins_in_word(text.substr(end)))) {
        at = end;
        continue;
      }
      at = end;  // the search goes on behind the content: white space that goes along may begin the next token
      if (token->rstrip) {
        end = std::max(end, run_end);  // all between is white space
        while (leading_white_space(text.substr(end)) > 0) end += leading_white_space(text.substr(end));
        run_end = end;
      }
      if (token->lstrip)
        begin = done < begin ? done + without_space_at_end(text.substr(done, begin - done)) : std::min(done, end);
      if (done < begin) result.push_back({text.substr(done, begin - done), -1});
      if (begin < end) result.push_back({text.substr(begin, end - begin), token->id});
      done = end;
    }
    if (done < text.size()) result.push_back({text.substr(done), -1});
  }

 private:
  static bool begins_in_word(std::string_view text) { return word_characters().matches(text); }
  static bool ends_in_word(std::string_view text) { return !text.empty() && begins_in_word(last_character(text)); }
  static const WordCharacters& word_characters() {
    static const WordCharacters characters;
    return characters;
  }

  const AddedToken* longest_at(std::string_view text, bool normalized) const {
    const AddedToken* longest = nullptr;
    for (const auto& token : tokens_)
      if (token.normalized == normalized && text.starts_with(token.content) &&
          (longest == nullptr || longest->content.size() < token.content.size()))
        longest = &token;
    return longest;
  }

  /// The size of `text` without the white space at its end.
  static std::size_t without_space_at_end(std::string_view text) {
    while (trailing_white_space(text) > 0) text.remove_suffix(trailing_white_space(text));
    return text.size();
  }

  std::vector<AddedToken> tokens_;
  std::array<bool, 256> begins_{}, begins_normalized_{};  // whether a token begins with the byte
};

}  // namespace neural_attention::text
