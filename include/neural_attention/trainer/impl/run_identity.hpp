// Definitions of what trainer/run_identity.hpp declares.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/trainer/run_identity.hpp"

namespace neural_attention {

NEURAL_ATTENTION_INLINE void RunIdentity::set(std::string_view name, std::string value) {
  value = as_text(value);
  for (auto& entry : entries_)
    if (entry.first == name) {
      entry.second = std::move(value);
      return;
    }
  entries_.emplace_back(name, std::move(value));
}

NEURAL_ATTENTION_INLINE void RunIdentity::set(std::string_view name, double value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  set(name, std::string(digits, end));
}

NEURAL_ATTENTION_INLINE void RunIdentity::set(const RunIdentity& other) {
  for (const auto& [name, value] : other.entries_) set(name, value);
}

NEURAL_ATTENTION_INLINE const std::string* RunIdentity::find(std::string_view name) const {
  for (const auto& entry : entries_)
    if (entry.first == name) return &entry.second;
  return nullptr;
}

NEURAL_ATTENTION_INLINE std::string RunIdentity::as_text(const std::string& value) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  for (std::string_view rest = value; !rest.empty();) {
    const auto length = utf8_length(rest);
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(rest.front());
      (text += "\\x") += digits[byte / 16];
      text += digits[byte % 16];
    } else {
      text += rest.substr(0, length);
    }
    rest.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return text;
}

NEURAL_ATTENTION_INLINE void require_same_run(const RunIdentity& stored, const RunIdentity& now,
                                              const std::string& checkpoint) {
  const auto shown = [](const std::string& value) {
    const bool plain = !value.empty() && value.size() <= 40 &&
                       value.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-/") ==
                           std::string::npos;
    return plain ? value : in_quotes(value);
  };
  for (const auto& [name, value] : now.entries())
    if (const auto* const before = stored.find(name); before && *before != value)
      throw ConfigError(checkpoint + " was made with " + name + " " + shown(*before) + ", not " + shown(value) +
                        ": a run must be resumed with its own settings");
}

}  // namespace neural_attention
