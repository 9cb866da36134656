// Definitions of what trainer/run_folder.hpp declares.
#pragma once

#include <filesystem>
#include <system_error>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/trainer/checkpoint_folder.hpp"
#include "neural_attention/trainer/run_folder.hpp"
#include "neural_attention/trainer/training_position.hpp"

namespace neural_attention {

namespace run_folder_detail {

/// Whether `folder` is the whole checkpoint of the best evaluation that `position` tells of.
inline bool is_best_of(const TrainingPosition& position, const std::filesystem::path& folder) {
  if (!is_whole_checkpoint(folder)) return false;
  try {
    const auto stored = read_position((folder / checkpoint_detail::position_file).string());
    return stored.best_step == position.best_step && stored.best_metric == position.best_metric;
  } catch (const FileError&) {
    return false;
  }
}

}  // namespace run_folder_detail

NEURAL_ATTENTION_INLINE void RunFolder::resume(const std::filesystem::path& checkpoint, long step) {
  std::error_code ignored;
  const auto real = std::filesystem::canonical(checkpoint, ignored);
  origin_ = real.parent_path();
  resumed_step_ = step;
  const auto name = checkpoint_detail::parse_name(real.filename().string());
  resumed_aside_ = name && name->rest.starts_with(checkpoint_detail::abandoned);
}

NEURAL_ATTENTION_INLINE void RunFolder::begin() {
  if (std::exchange(begun_, true) || !keeps() || origin_.empty()) return;
  std::error_code ignored;
  const bool goes_on = !resumed_aside_ && std::filesystem::equivalent(origin_, path_, ignored);
  abandon_checkpoints_after(path_, goes_on ? resumed_step_ : -1);
}

NEURAL_ATTENTION_INLINE std::filesystem::path RunFolder::best(const TrainingPosition& position) const {
  using run_folder_detail::is_best_of;
  const auto name = checkpoint_name(position.best_step);
  if (auto here = std::filesystem::path(path_) / name; is_best_of(position, here)) return here;
  if (origin_.empty() || position.best_step > resumed_step_) return {};
  if (auto there = origin_ / name; is_best_of(position, there)) return there;
  for (const auto& [folder, other] : checkpoint_detail::folders(origin_))
    if (other.step == position.best_step && other.rest.starts_with(checkpoint_detail::abandoned) &&
        is_best_of(position, folder))
      return folder;
  return {};
}

NEURAL_ATTENTION_INLINE void RunFolder::bring_best(const TrainingPosition& position) const {
  if (!keeps() || position.best_step == 0 || origin_.empty()) return;
  const auto found = best(position), here = std::filesystem::path(path_) / checkpoint_name(position.best_step);
  if (!found.empty() && found != here) copy_checkpoint(found, here);
}

}  // namespace neural_attention
