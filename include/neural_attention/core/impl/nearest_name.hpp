// Definitions of what core/nearest_name.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neural_attention/core/nearest_name.hpp"
#include "neural_attention/core/quoted.hpp"

namespace neural_attention {

namespace name_detail {

/// Number of slips from a to b: a character more, less or another, or two that changed places (optimal string
/// alignment).
NEURAL_ATTENTION_INLINE std::size_t slips(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i)
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

NEURAL_ATTENTION_INLINE std::vector<std::string_view> words(std::string_view name) {
  std::vector<std::string_view> words;
  while (!name.empty()) {
    const auto end = std::min(name.find('_'), name.size());
    if (end > 0) words.push_back(name.substr(0, end));
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return words;
}

/// Whether two words are the same except for a plural, or one is short for the other, as eval for evaluation.
NEURAL_ATTENTION_INLINE bool same_word(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  constexpr std::size_t least = 4;
  return a == b || (b.starts_with(a) && (a.size() >= least || (b.size() == a.size() + 1 && b.ends_with('s'))));
}

/// Whether every word of `some` is one of `all`.
NEURAL_ATTENTION_INLINE bool within(const std::vector<std::string_view>& some,
                                    const std::vector<std::string_view>& all) {
  return std::ranges::all_of(some, [&](std::string_view word) {
    return std::ranges::any_of(all, [&](std::string_view other) { return same_word(word, other); });
  });
}

}  // namespace name_detail

NEURAL_ATTENTION_INLINE double name_distance(std::string_view written, std::string_view name) {
  constexpr double too_far = 1.0;
  constexpr std::size_t longest_name = 100;
  if (written.size() < 2 || written.size() > longest_name) return too_far;
  const auto longer = static_cast<double>(std::max(written.size(), name.size()));
  const auto missed = name_detail::slips(written, name);
  if (static_cast<double>(missed) <= std::max(1.0, longer / 5.0) && missed < written.size())
    return 0.3 * static_cast<double>(missed) / longer;
  const auto asked = name_detail::words(written), known = name_detail::words(name);
  std::string initials;
  for (const auto word : known) initials += word.front();
  if (known.size() > 1 && written == initials) return 0.3;
  const double share = static_cast<double>(std::min(written.size(), name.size())) / longer;
  if (written.size() > 2 && name.starts_with(written)) return 0.5 - 0.1 * share;
  if (name_detail::within(asked, known)) return 0.7 - 0.2 * share;
  if (name_detail::within(known, asked)) return 0.9 - 0.2 * share;
  return too_far;
}

NEURAL_ATTENTION_INLINE std::string_view nearest_name(std::string_view written,
                                                      std::span<const std::string_view> known) {
  std::string_view nearest;
  double least = 1.0;
  for (const auto name : known)
    if (const auto distance = name_distance(written, name); distance < least) {
      least = distance;
      nearest = name;
    }
  return nearest;
}

NEURAL_ATTENTION_INLINE std::string quoted_with_nearest(std::string_view written,
                                                        std::span<const std::string_view> known) {
  const auto nearest = nearest_name(written, known);
  return in_quotes(written) + (nearest.empty() ? "" : " (did you mean " + in_quotes(nearest) + "?)");
}

}  // namespace neural_attention
