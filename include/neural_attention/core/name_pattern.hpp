// Patterns of parameter and file names, for flags and options.
#pragma once

#include <string_view>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// Whether `name` matches `pattern`, in which * stands for any characters and ? for any single one.
constexpr bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*')
    return matches(pattern.substr(1), name) || (!name.empty() && matches(pattern, name.substr(1)));
  return !name.empty() && (pattern.front() == '?' || pattern.front() == name.front()) &&
         matches(pattern.substr(1), name.substr(1));
}

}  // namespace neural_attention
