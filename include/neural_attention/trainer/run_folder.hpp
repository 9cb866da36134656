// The output directory of a training run as its trainer sees it: what of an earlier run goes aside, and where the
// checkpoint of the best evaluation lies, which may be older than a run that was resumed into another folder.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "neural_attention/trainer/checkpoint_folder.hpp"

namespace neural_attention {

/// Without a path, "", nothing is kept.
class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  bool keeps() const { return !path_.empty(); }
  const std::string& path() const { return path_; }

  /// The run goes on with `checkpoint`, that of `step`.
  void resume(const std::filesystem::path& checkpoint, long step) {
    std::error_code ignored;
    origin_ = std::filesystem::canonical(checkpoint, ignored).parent_path();
    resumed_step_ = step;
  }

  /// Sets later checkpoints than the one that the run goes on with aside: for the time when it has something to leave,
  /// a first step or an evaluation. Further calls do nothing. Throws FileError.
  void begin() {
    if (!std::exchange(begun_, true) && keeps() && !origin_.empty()) abandon_checkpoints_after(path_, resumed_step_);
  }

  /// The whole checkpoint of `best_step`, here or beside the one that the run was resumed from; empty where it is gone.
  std::filesystem::path best(long best_step) const {
    const auto name = checkpoint_name(best_step);
    if (auto here = std::filesystem::path(path_) / name; is_whole_checkpoint(here)) return here;
    auto there = origin_ / name;
    return best_step <= resumed_step_ && is_whole_checkpoint(there) ? there : std::filesystem::path();
  }

  /// Copies that checkpoint here where it lies elsewhere: the run may be resumed from here into a third folder.
  void bring_best(long best_step) const {
    if (!keeps() || best_step == 0 || origin_.empty()) return;
    const auto best_one = best(best_step);
    std::error_code ignored;
    if (!best_one.empty() && !std::filesystem::equivalent(best_one.parent_path(), path_, ignored))
      copy_checkpoint(best_one, path_);
  }

 private:
  std::string path_;
  std::filesystem::path origin_;  ///< of the checkpoint that was resumed from
  long resumed_step_ = 0;
  bool begun_ = false;
};

}  // namespace neural_attention
