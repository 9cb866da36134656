// RunIdentity: what defines a training run, as names and values in words. A checkpoint keeps it, so that nothing else
// is taken for the same run when it is resumed. What may change in between (the number of steps and epochs, how often
// is evaluated, saved and logged, threads, folders) does not belong in it.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/train/schedules.hpp"

namespace neural_attention {

class RunIdentity {
 public:
  using Entry = std::pair<std::string, std::string>;

  /// Names are the options' names, Hugging Face's where it has one. Setting a name again replaces its value.
  void set(std::string_view name, std::string value) {
    for (auto& entry : entries_)
      if (entry.first == name) {
        entry.second = std::move(value);
        return;
      }
    entries_.emplace_back(name, std::move(value));
  }
  void set(std::string_view name, const char* value) { set(name, std::string(value)); }
  void set(std::string_view name, bool value) { set(name, value ? "true" : "false"); }
  void set(std::string_view name, std::integral auto value) { set(name, std::to_string(value)); }

  /// The shortest digits that give the number back.
  void set(std::string_view name, double value) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    set(name, std::string(digits, end));
  }

  /// Adds all of `other`.
  void set(const RunIdentity& other) {
    for (const auto& [name, value] : other.entries_) set(name, value);
  }

  /// Null where there is no such name.
  const std::string* find(std::string_view name) const {
    for (const auto& entry : entries_)
      if (entry.first == name) return &entry.second;
    return nullptr;
  }

  /// In the order in which they were set.
  const std::vector<Entry>& entries() const { return entries_; }

  bool operator==(const RunIdentity&) const = default;

 private:
  std::vector<Entry> entries_;
};

/// As get_scheduler of Hugging Face's calls it.
inline const char* name_of(Schedule::Kind kind) {
  switch (kind) {
    case Schedule::Kind::Constant:
      return "constant";
    case Schedule::Kind::Linear:
      return "linear";
    case Schedule::Kind::Cosine:
      return "cosine";
    case Schedule::Kind::InverseSquareRoot:
      return "inverse_sqrt";
  }
  return "";
}

/// Throws ConfigError for the first name of `now` whose value is another one in `stored`, that of `checkpoint`. A name
/// that only one of them has contradicts nothing.
inline void require_same_run(const RunIdentity& stored, const RunIdentity& now, const std::string& checkpoint) {
  const auto shown = [](const std::string& value) {
    const bool plain = !value.empty() && value.size() <= 40 &&
                       value.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-/") ==
                           std::string::npos;
    return plain ? value : in_quotes(value);
  };
  for (const auto& [name, value] : now.entries())
    if (const auto* const before = stored.find(name); before && *before != value)
      throw ConfigError(checkpoint + " was made with " + name + " " + shown(*before) + ", not " + shown(value) +
                        ": a run is resumed as it was begun");
}

}  // namespace neural_attention
