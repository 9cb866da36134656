// The flag that a user may have meant instead of an unknown one: a typing error, a prefix, or a name from other
// programs that shares its words, such as --train_batch_size for --per_device_train_batch_size or --lr for
// --learning_rate. There may be none.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace examples {

namespace nearest_flag_detail {

/// Number of typing errors from a to b: an inserted, deleted or replaced character, or two swapped ones (optimal string
/// alignment).
inline std::size_t slips(std::string_view a, std::string_view b) {
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

inline std::vector<std::string_view> words(std::string_view name) {
  std::vector<std::string_view> words;
  while (!name.empty()) {
    const auto end = std::min(name.find('_'), name.size());
    if (end > 0) words.push_back(name.substr(0, end));
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return words;
}

/// Whether two words only differ by a plural s, or one is short for the other, such as eval for evaluation.
inline bool same_word(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  constexpr std::size_t least = 4;
  return a == b || (b.starts_with(a) && (a.size() >= least || (b.size() == a.size() + 1 && b.ends_with('s'))));
}

/// Whether every word of `some` is one of `all`.
inline bool within(const std::vector<std::string_view>& some, const std::vector<std::string_view>& all) {
  return std::all_of(some.begin(), some.end(), [&](std::string_view word) {
    return std::any_of(all.begin(), all.end(), [&](std::string_view other) { return same_word(word, other); });
  });
}

/// The distance of `name` from the unknown `typed`, both without dashes; 1 and more: too far.
inline double distance(const std::string& typed, const std::string& name) {
  constexpr double too_far = 1.0;
  if (typed.size() < 2) return too_far;
  const auto longer = static_cast<double>(std::max(typed.size(), name.size()));
  const auto missed = slips(typed, name);
  if (static_cast<double>(missed) <= std::max(1.0, longer / 5.0) && missed < typed.size())
    return 0.3 * static_cast<double>(missed) / longer;
  const auto asked = words(typed), known = words(name);
  std::string initials;
  for (const auto word : known) initials += word.front();
  if (known.size() > 1 && typed == initials) return 0.3;
  const double share = static_cast<double>(std::min(typed.size(), name.size())) / longer;
  if (typed.size() > 2 && name.starts_with(typed)) return 0.5 - 0.1 * share;
  if (within(asked, known)) return 0.7 - 0.2 * share;
  if (within(known, asked)) return 0.9 - 0.2 * share;
  return too_far;
}

}  // namespace nearest_flag_detail

/// The flag of `app` or of its chosen command that is nearest to `flag`, with its dashes, or "".
inline std::string nearest_flag(const CLI::App& app, const std::string& flag) {
  std::string nearest;
  double least = 1.0;
  const auto typed = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
  const auto consider = [&](const CLI::App& command) {
    for (const auto* option : command.get_options())
      for (const auto& name : option->get_lnames())
        if (const auto distance = nearest_flag_detail::distance(typed, name); distance < least) {
          least = distance;
          nearest = "--" + name;
        }
  };
  consider(app);
  for (const auto* command : app.get_subcommands()) consider(*command);
  return nearest;
}

}  // namespace examples
