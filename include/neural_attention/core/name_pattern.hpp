// Patterns of parameter and file names, for flags and options.
#pragma once

#include <cstddef>
#include <string_view>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// Whether `name` matches `pattern`, in which * stands for any characters and ? for any single one. Takes at most the
/// product of their lengths in steps: where the rest does not fit, only the last * takes one character more.
constexpr bool matches(std::string_view pattern, std::string_view name) {
  constexpr auto none = std::string_view::npos;
  std::size_t at = 0, behind_star = none, star_end = 0;  // the last * has the characters before star_end
  for (std::size_t i = 0; i < name.size();) {
    if (at < pattern.size() && pattern[at] == '*') {
      behind_star = ++at;
      star_end = i;
    } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == name[i])) {
      ++at;
      ++i;
    } else if (behind_star != none) {
      at = behind_star;
      i = ++star_end;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == none;
}

}  // namespace neural_attention
