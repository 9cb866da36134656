// Definitions of what study/tuning.hpp declares.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/counted.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/study/tuning.hpp"

namespace neural_attention::study {

NEURAL_ATTENTION_INLINE std::vector<FlagSet> settings_of(const Grid& grid) {
  std::vector<FlagSet> settings(1);
  for (const auto& [flag, values] : grid) {
    std::vector<FlagSet> longer;
    for (const auto& setting : settings)
      for (const auto& value : values) longer.push_back(merged(setting, {{flag, value}}));
    settings = std::move(longer);
  }
  return settings;
}

NEURAL_ATTENTION_INLINE std::optional<ChosenSetting> choose_setting(const Grid& grid,
                                                                    const std::vector<std::vector<double>>& losses) {
  const auto settings = settings_of(grid);
  if (losses.size() != settings.size())
    throw ShapeError("a grid of " + counted(settings.size(), "setting") + " needs their losses, got " +
                     std::to_string(losses.size()));
  std::optional<ChosenSetting> chosen;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (losses[i].empty()) throw ShapeError("setting " + std::to_string(i) + " of a grid has no losses");
    const double mean =
        std::accumulate(losses[i].begin(), losses[i].end(), 0.0) / static_cast<double>(losses[i].size());
    if (std::isfinite(mean) && (!chosen || mean < chosen->mean_loss)) chosen = ChosenSetting{i, mean};
  }
  if (!chosen) return chosen;
  for (const auto& [flag, values] : grid) {
    std::vector<double> numbers;
    for (const auto& value : values)
      if (const auto number = number_in(value)) numbers.push_back(*number);
    if (numbers.size() < 2 || numbers.size() != values.size()) continue;
    const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
    const double at = *number_in(settings[chosen->setting].at(flag));
    if (at == *least || at == *most) chosen->at_edge.push_back(flag);
  }
  return chosen;
}

}  // namespace neural_attention::study
