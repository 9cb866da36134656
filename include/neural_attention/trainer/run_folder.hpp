// The output directory of a training run, as its trainer uses it: which old checkpoints are set aside, and where the
// checkpoint of the best evaluation lies. That one may be older than the run, if the run was resumed into another
// folder.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

namespace neural_attention {

/// An empty path keeps nothing.
class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  bool keeps() const { return !path_.empty(); }
  const std::string& path() const { return path_; }

  /// The run continues from `checkpoint`, which belongs to `step`.
  void resume(const std::filesystem::path& checkpoint, long step);

  /// Sets aside the checkpoints that are later than the one the run continues from. Called when the run has a first
  /// result of its own, a step or an evaluation; further calls do nothing. Throws FileError.
  void begin();

  /// The whole checkpoint of `best_step`, here or beside the checkpoint that the run was resumed from; empty if it is
  /// gone.
  std::filesystem::path best(long best_step) const;

  /// Copies that checkpoint here if it lies elsewhere: the run may be resumed from here into a third folder.
  void bring_best(long best_step) const;

 private:
  std::string path_;
  std::filesystem::path origin_;  ///< the folder of the checkpoint that the run was resumed from
  long resumed_step_ = 0;
  bool begun_ = false;
};

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/trainer/impl/run_folder.hpp"
#endif
