// Lists of names: what files, flags, help and messages call the values of an enumeration follows from one list:
//   inline constexpr Named<Kind> named_kinds[] = {{"linear", Kind::Linear}, …};
//   constexpr const auto& names_of(Kind) { return named_kinds; }
// The first name of a value is the one that is written. Further names of it are read, too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/nearest_name.hpp"

namespace neural_attention {

template <class E>
struct Named {
  std::string_view name;
  E value;
};

/// Whether names_of(E) has the list of an enumeration's names.
template <class E>
concept HasNames = requires(E value) {
  names_of(value);
};

/// The first name of `value`; empty if it has none.
template <HasNames E>
constexpr std::string_view name_of(E value) {
  for (const auto& one : names_of(value))
    if (one.value == value) return one.name;
  return {};
}

/// "linear, cosine or constant": the names in a list, without the further names of a value.
std::string names_in_words(const auto& list) {
  std::string text, last;
  for (const auto& one : list) {
    if constexpr (requires { name_of(one.value); })
      if (name_of(one.value) != one.name) continue;
    if (!last.empty()) text.append(text.empty() ? "" : ", ").append(last);
    last = one.name;
  }
  return text.empty() ? last : text + " or " + last;
}

/// Throws ConfigError, which says the nearest name, for a name that is not in a list. `what` says what it was to name:
/// a flag, a key.
[[noreturn]] void refuse_name(const auto& list, std::string_view what, std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& one : list) known.push_back(one.name);
  throw ConfigError(std::string(what) + " must be " + names_in_words(list) + ", not " +
                    quoted_with_nearest(name, known));
}

/// The value called `name`. Throws as refuse_name.
template <HasNames E>
E value_named(std::string_view name, std::string_view what) {
  for (const auto& one : names_of(E()))
    if (one.name == name) return one.value;
  refuse_name(names_of(E()), what, name);
}

}  // namespace neural_attention
