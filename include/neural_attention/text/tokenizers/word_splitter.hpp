// GPT-2's rule for cutting text into words before byte pair encoding, with PCRE2:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// \s is Unicode's White_Space, as in Hugging Face's tokenizers; PCRE2's own \s also has U+180E. The words together make
// up the whole text. Letters and numbers follow PCRE2's Unicode version (14 in PCRE2 10.40 to 10.42, as in tokenizers
// 0.14; 15 or later in newer ones). A byte that begins no valid UTF-8 character is no letter, number or space.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "neural_attention/core/errors.hpp"

/// PCRE2's pcre2_code.
struct pcre2_real_code_8;

namespace neural_attention::text {

/// Word characters, \w in the Rust regular expressions of Hugging Face's tokenizers: Alphabetic characters, marks,
/// decimal digits, connecting punctuation and joiners. Const functions may be called from several threads at once.
class WordCharacters {
 public:
  WordCharacters();

  /// Whether `text` begins with a word character.
  bool matches(std::string_view text) const;

 private:
  std::unique_ptr<pcre2_real_code_8, void (*)(pcre2_real_code_8*)> code_;
};

/// Copies share the compiled pattern. All const functions may be called from several threads at once.
class WordSplitter {
 public:
  WordSplitter();

  /// Calls visit(word) for each word of `text`, in order; the views point into `text`. Any bytes are accepted.
  void operator()(std::string_view text, const std::function<void(std::string_view)>& visit) const;

 private:
  /// `text` with a control character, which is no letter, number or space, for each byte that is not UTF-8.
  static std::string with_placeholders(std::string_view text);

  std::shared_ptr<const pcre2_real_code_8> code_;
  bool compiled_ = false;  // to machine code; else PCRE2 interprets the pattern
};

}  // namespace neural_attention::text

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/text/tokenizers/impl/word_splitter.hpp"
#endif
