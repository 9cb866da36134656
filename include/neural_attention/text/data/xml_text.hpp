// The part of XML that test sets need: a scanner that returns tags and text in turn and refuses text that is not
// well-formed. Entities are the five that XML defines and character numbers; documents that define their own are
// refused.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/utf8.hpp"

namespace neural_attention::text {

/// Appends the UTF-8 form of `code`; false if XML does not allow that character.
inline bool append_xml_character(std::uint32_t code, std::string& text) {
  const bool control = code < 0x20 && code != '\t' && code != '\n' && code != '\r';
  if (control || (code >= 0xD800 && code < 0xE000) || code == 0xFFFE || code == 0xFFFF || code > 0x10FFFF) return false;
  append_utf8(code, text);
  return true;
}

/// Decodes the entity at the beginning of `rest` ("&amp;…", "&#228;…", "&#xE4;…"), appends it to `text` and returns its
/// length. If there is no entity of XML, appends nothing and returns 0.
inline std::size_t append_xml_entity(std::string_view rest, std::string& text) {
  using Entity = std::pair<std::string_view, char>;
  constexpr std::array<Entity, 5> named = {Entity{"&amp;", '&'}, Entity{"&lt;", '<'}, Entity{"&gt;", '>'},
                                           Entity{"&quot;", '"'}, Entity{"&apos;", '\''}};
  for (const auto& [name, character] : named) {
    if (!rest.starts_with(name)) continue;
    text += character;
    return name.size();
  }
  if (!rest.starts_with("&#")) return 0;
  const int base = rest.starts_with("&#x") ? 16 : 10;
  const char* const begin = rest.data() + (base == 16 ? 3 : 2);
  const char* const limit = rest.data() + rest.size();
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(begin, limit, code, base);
  if (error != std::errc() || end == limit || *end != ';' || !append_xml_character(code, text)) return 0;
  return static_cast<std::size_t>(end + 1 - rest.data());
}

/// A tag as it stands in the file. `<a/>` is an opening tag with `empty`.
struct XmlTag {
  std::string name;
  bool closing = false, empty = false;
  std::vector<std::pair<std::string, std::string>> attributes;

  /// The value, or null.
  const std::string* attribute(std::string_view wanted) const {
    for (const auto& [key, value] : attributes)
      if (key == wanted) return &value;
    return nullptr;
  }
};

/// Reads `bytes`, which must outlive it, from the beginning. Every fault is a LineError of `path`.
class XmlScanner {
 public:
  XmlScanner(const std::string& path, std::string_view bytes) : path_(path), rest_(bytes) {}

  /// The decoded text up to the next tag or the end. Skips comments and processing instructions.
  std::string text() {
    std::string result;
    while (!rest_.empty()) {
      if (rest_.starts_with("<!--")) {
        skip("-->", "comment");
      } else if (rest_.starts_with("<?")) {
        skip("?>", "processing instruction");
      } else if (rest_.starts_with("<!DOCTYPE")) {
        const auto end = rest_.find_first_of("[>");
        if (end == std::string_view::npos || rest_[end] == '[') fail("a document type that defines things of its own");
        take(end + 1);
      } else if (rest_.front() == '<') {
        break;
      } else if (rest_.front() == '&') {
        const auto length = append_xml_entity(rest_, result);
        if (length == 0) fail("an & that begins none of &amp; &lt; &gt; &quot; &apos; and no character's number");
        take(length);
      } else {
        const auto length = std::min(rest_.find_first_of("<&"), rest_.size());
        result += take(length);
      }
    }
    return result;
  }

  /// The next tag, or nothing at the end. Call it after `text`.
  std::optional<XmlTag> tag() {
    if (rest_.empty()) return std::nullopt;
    XmlTag result;
    take(1);
    if (rest_.starts_with('/')) {
      take(1);
      result.closing = true;
    }
    result.name = name("tag");
    for (;;) {
      const bool space = skip_space();
      if (rest_.starts_with('>')) {
        take(1);
        return result;
      }
      if (!result.closing && rest_.starts_with("/>")) {
        take(2);
        result.empty = true;
        return result;
      }
      if (rest_.empty()) fail("a tag <" + result.name + " without its end");
      if (result.closing || !space) fail("a tag <" + result.name + " that does not end with >");
      if (result.attributes.size() == most_attributes)
        fail("a tag <" + result.name + " with more than " + std::to_string(most_attributes) + " attributes");
      auto key = name("attribute");
      if (result.attribute(key) != nullptr) fail("the attribute " + key + " twice");
      skip_space();
      if (!rest_.starts_with('=')) fail("the attribute " + key + " without a value");
      take(1);
      skip_space();
      result.attributes.emplace_back(std::move(key), value());
    }
  }

  [[noreturn]] void fail(const std::string& what) const { throw LineError(path_, line_, "there is " + what); }

  /// The line of the next character, from 1.
  long line() const { return line_; }

 private:
  std::string_view take(std::size_t length) {
    const auto taken = rest_.substr(0, length);
    line_ += std::count(taken.begin(), taken.end(), '\n');
    rest_.remove_prefix(length);
    return taken;
  }

  void skip(std::string_view end, const char* what) {
    const auto found = rest_.find(end);
    if (found == std::string_view::npos) fail(std::string("a ") + what + " without its end");
    take(found + end.size());
  }

  bool skip_space() {
    const auto length = std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size());
    take(length);
    return length > 0;
  }

  std::string name(const char* what) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    std::size_t length = 0;
    while (length < rest_.size() && length <= longest_name &&
           (letter(rest_[length]) ||
            (length > 0 && ((rest_[length] >= '0' && rest_[length] <= '9') || rest_[length] == '-' ||
                            rest_[length] == '.' || rest_[length] == ':'))))
      ++length;
    if (length == 0 || length > longest_name) fail(std::string("no name for this ") + what);
    return std::string(take(length));
  }

  std::string value() {
    if (!rest_.starts_with('"') && !rest_.starts_with('\'')) fail("an attribute's value without quotation marks");
    const char quote = rest_.front();
    take(1);
    std::string result;
    while (!rest_.starts_with(quote)) {
      if (rest_.empty() || rest_.front() == '<') fail("an attribute's value without its end");
      if (rest_.front() != '&') {
        result += take(1);
        continue;
      }
      const auto length = append_xml_entity(rest_, result);
      if (length == 0) fail("an & in an attribute that begins no entity of XML");
      take(length);
    }
    take(1);
    return result;
  }

  static constexpr std::size_t longest_name = 64, most_attributes = 64;

  const std::string& path_;
  std::string_view rest_;
  long line_ = 1;
};

}  // namespace neural_attention::text
