// Definitions of what text/tokenizers/word_splitter.hpp declares.
#pragma once

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8  // the header demands it; the code below names the width itself
#endif
#include <pcre2.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/text/tokenizers/word_splitter.hpp"

namespace neural_attention::text {

namespace detail {

inline std::string pattern_message(int error) {
  std::array<PCRE2_UCHAR8, 256> text{};
  pcre2_get_error_message_8(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

/// For a match at the beginning of a text. The caller frees it.
inline pcre2_code_8* compile_pattern(const std::string& pattern) {
  int error = 0;
  std::size_t place = 0;
  auto* const code = pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(pattern.data()), pattern.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &place, nullptr);
  if (code == nullptr) throw Error("PCRE2 cannot compile a pattern: " + pattern_message(error));
  return code;
}

}  // namespace detail

NEURAL_ATTENTION_INLINE WordCharacters::WordCharacters()
    : code_(detail::compile_pattern(R"([\p{L}\p{M}\p{Nl}\p{Nd}\p{Pc}\x{200c}\x{200d}\x{24b6}-\x{24e9})"
                                    R"(\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189}])"),
            pcre2_code_free_8) {}

NEURAL_ATTENTION_INLINE bool WordCharacters::matches(std::string_view text) const {
  const auto length = text.empty() ? 0 : utf8_length(text);
  if (length == 0) return false;
  const std::unique_ptr<pcre2_match_data_8, void (*)(pcre2_match_data_8*)> match(pcre2_match_data_create_8(1, nullptr),
                                                                                 pcre2_match_data_free_8);
  if (!match) throw std::bad_alloc();
  return pcre2_match_8(code_.get(), reinterpret_cast<PCRE2_SPTR8>(text.data()), length, 0, PCRE2_NO_UTF_CHECK,
                       match.get(), nullptr) > 0;
}

NEURAL_ATTENTION_INLINE WordSplitter::WordSplitter() {
  constexpr std::string_view space =
      R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
  const auto in = "[" + std::string(space) + "]", out = "[^" + std::string(space) + "]",
             symbol = "[^" + std::string(space) + R"(\p{L}\p{N}])";
  const std::string pattern =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?)" + symbol + "+|" + in + "+(?!" + out + ")|" + in + "+";
  // Every character begins some alternative, so a word begins where the last one ended.
  auto* const code = detail::compile_pattern(pattern);
  compiled_ = pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE) == 0;
  code_.reset(code, pcre2_code_free_8);
}

NEURAL_ATTENTION_INLINE void WordSplitter::operator()(std::string_view text,
                                                      const std::function<void(std::string_view)>& visit) const {
  std::size_t bad = 0;
  std::string valid;  // of the same size
  if (!valid_utf8(text, bad)) valid = with_placeholders(text);
  const auto subject = reinterpret_cast<PCRE2_SPTR8>(valid.empty() ? text.data() : valid.data());

  const std::unique_ptr<pcre2_match_data_8, void (*)(pcre2_match_data_8*)> match(pcre2_match_data_create_8(1, nullptr),
                                                                                 pcre2_match_data_free_8);
  if (!match) throw std::bad_alloc();
  const auto* const bounds = pcre2_get_ovector_pointer_8(match.get());
  for (std::size_t begin = 0; begin < text.size(); begin = bounds[1]) {
    const auto found =
        compiled_
            ? pcre2_jit_match_8(code_.get(), subject, text.size(), begin, PCRE2_NO_UTF_CHECK, match.get(), nullptr)
            : pcre2_match_8(code_.get(), subject, text.size(), begin, PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (found < 0 || bounds[1] <= begin)
      throw Error("PCRE2 cannot cut a text into words: " + detail::pattern_message(found));
    visit(text.substr(begin, bounds[1] - begin));
  }
}

NEURAL_ATTENTION_INLINE std::string WordSplitter::with_placeholders(std::string_view text) {
  std::string result(text);
  for (std::size_t at = 0; at < text.size();) {
    const auto length = utf8_length(text.substr(at));
    if (length == 0) result[at] = '\x01';
    at += length == 0 ? 1 : length;
  }
  return result;
}

}  // namespace neural_attention::text
