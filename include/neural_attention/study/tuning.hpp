// Tuning with equal effort: every arm tries the same combinations of flags on the same seeds, and the mean of its
// validation losses chooses.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "neural_attention/study/study_config.hpp"

namespace neural_attention::study {

using Grid = std::map<std::string, std::vector<std::string>>;

/// All combinations of the grid; the last flag changes fastest. One without flags for an empty grid.
std::vector<FlagSet> settings_of(const Grid& grid);

struct ChosenSetting {
  std::size_t setting = 0;
  double mean_loss = 0;
  /// Flags whose value is the smallest or the largest of several numbers: a wider grid may have a better one.
  std::vector<std::string> at_edge = {};
};

/// The setting with the smallest mean; of equal ones the first. losses[setting] has one of each seed; a setting with a
/// loss that is not finite, as of a run that diverged, is not chosen. None if no setting remains. Throws ShapeError
/// unless each setting of the grid has its losses.
std::optional<ChosenSetting> choose_setting(const Grid& grid, const std::vector<std::vector<double>>& losses);

}  // namespace neural_attention::study

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/study/impl/tuning.hpp"
#endif
