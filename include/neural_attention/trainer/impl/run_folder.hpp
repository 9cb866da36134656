// Definitions of what trainer/run_folder.hpp declares.
#pragma once

#include <filesystem>
#include <system_error>
#include <utility>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/trainer/checkpoint_folder.hpp"
#include "neural_attention/trainer/run_folder.hpp"

namespace neural_attention {

NEURAL_ATTENTION_INLINE void RunFolder::resume(const std::filesystem::path& checkpoint, long step) {
  std::error_code ignored;
  origin_ = std::filesystem::canonical(checkpoint, ignored).parent_path();
  resumed_step_ = step;
}

NEURAL_ATTENTION_INLINE void RunFolder::begin() {
  if (!std::exchange(begun_, true) && keeps() && !origin_.empty()) abandon_checkpoints_after(path_, resumed_step_);
}

NEURAL_ATTENTION_INLINE std::filesystem::path RunFolder::best(long best_step) const {
  const auto name = checkpoint_name(best_step);
  if (auto here = std::filesystem::path(path_) / name; is_whole_checkpoint(here)) return here;
  auto there = origin_ / name;
  return best_step <= resumed_step_ && is_whole_checkpoint(there) ? there : std::filesystem::path();
}

NEURAL_ATTENTION_INLINE void RunFolder::bring_best(long best_step) const {
  if (!keeps() || best_step == 0 || origin_.empty()) return;
  const auto best_one = best(best_step);
  std::error_code ignored;
  if (!best_one.empty() && !std::filesystem::equivalent(best_one.parent_path(), path_, ignored))
    copy_checkpoint(best_one, path_);
}

}  // namespace neural_attention
