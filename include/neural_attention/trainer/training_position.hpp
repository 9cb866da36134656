// TrainingPosition: where a run stands and which run it is, and the file that says so, trainer_state.json.
#pragma once

#include <cstdint>
#include <string>

#include "neural_attention/trainer/run_identity.hpp"

namespace neural_attention {

/// Where a run stands. `metric` values are larger-is-better.
struct TrainingPosition {
  static constexpr int format_version = 2;

  long step = 0;       ///< optimizer steps done
  int epoch = 0;       ///< of the next batch
  long batch = 0;      ///< next batch of that epoch
  long sequences = 0;  ///< of that epoch that the batches before it hold; 0 where the data do not count them
  std::uint64_t seed = 0;
  double best_metric = 0.0;
  long best_step = 0;  ///< 0: no evaluation yet
  int evaluations_without_gain = 0;
  bool evaluation_due = false;     ///< cancelled before the evaluation of this step, which comes first on resuming
  double seconds = 0.0;            ///< spent in training steps
  long tokens = 0;                 ///< that the speed of the run is measured in
  std::string optimizer = "adam";  ///< whose moments lie beside; filled in by save_checkpoint
  RunIdentity run;                 ///< which run this is
};

void write_position(const std::string& path, const TrainingPosition& position);

/// Throws FileError where the file is missing, malformed or of another format version.
TrainingPosition read_position(const std::string& path);

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/trainer/impl/training_position.hpp"
#endif
