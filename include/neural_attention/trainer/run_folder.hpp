// The output directory of a training run, as its trainer uses it: which old checkpoints are set aside, and where the
// checkpoint of the best evaluation lies. That one may be older than the run, if the run was resumed into another
// folder.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "neural_attention/trainer/training_position.hpp"

namespace neural_attention {

/// An empty path keeps nothing.
class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  bool keeps() const { return !path_.empty(); }
  const std::string& path() const { return path_; }

  /// The run continues from `checkpoint`, which belongs to `step`.
  void resume(const std::filesystem::path& checkpoint, long step);

  /// Sets aside the checkpoints that are later than the one the run continues from, and all of them if that one lies
  /// in another folder or was set aside itself: they may belong to another run. Called when the run has a first result
  /// of its own, a step or an evaluation, or ends; further calls do nothing. Throws FileError.
  void begin();

  /// The whole checkpoint of the best evaluation that `position` tells of, here or beside the checkpoint that the run
  /// was resumed from, where it may have been set aside; empty if it is gone. Another run's checkpoint of the same step
  /// does not count.
  std::filesystem::path best(const TrainingPosition& position) const;

  /// Copies that checkpoint here, under its own name, if it lies elsewhere: the run may be resumed from here into a
  /// third folder.
  void bring_best(const TrainingPosition& position) const;

 private:
  std::string path_;
  std::filesystem::path origin_;  ///< the folder of the checkpoint that the run was resumed from
  long resumed_step_ = 0;
  bool resumed_aside_ = false;  ///< from a checkpoint that was set aside
  bool begun_ = false;
};

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/trainer/impl/run_folder.hpp"
#endif
