// The output directory of a training run as its trainer sees it: what of an earlier run goes aside, and where the
// checkpoint of the best evaluation lies, which may be older than a run that was resumed into another folder.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

namespace neural_attention {

/// Without a path, "", nothing is kept.
class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  bool keeps() const { return !path_.empty(); }
  const std::string& path() const { return path_; }

  /// The run goes on with `checkpoint`, that of `step`.
  void resume(const std::filesystem::path& checkpoint, long step);

  /// Sets later checkpoints than the one that the run goes on with aside: for the time when it has something to leave,
  /// a first step or an evaluation. Further calls do nothing. Throws FileError.
  void begin();

  /// The whole checkpoint of `best_step`, here or beside the one that the run was resumed from; empty where it is gone.
  std::filesystem::path best(long best_step) const;

  /// Copies that checkpoint here where it lies elsewhere: the run may be resumed from here into a third folder.
  void bring_best(long best_step) const;

 private:
  std::string path_;
  std::filesystem::path origin_;  ///< of the checkpoint that was resumed from
  long resumed_step_ = 0;
  bool begun_ = false;
};

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/trainer/impl/run_folder.hpp"
#endif
