// TrainingPosition: how far a run is and which run it is, and the file that stores this, trainer_state.json.
#pragma once

#include <cstdint>
#include <string>

#include "neural_attention/trainer/run_identity.hpp"

namespace neural_attention {

namespace checkpoint_detail {

inline constexpr const char* position_file = "trainer_state.json";

}  // namespace checkpoint_detail

/// How far a run is. For `metric` values, larger is better.
struct TrainingPosition {
  static constexpr int format_version = 2;

  long step = 0;       ///< optimizer steps done
  int epoch = 0;       ///< of the next batch
  long batch = 0;      ///< next batch of that epoch
  long sequences = 0;  ///< in that epoch's batches before it; 0 if the data do not count them
  std::uint64_t seed = 0;
  double best_metric = 0.0;
  long best_step = 0;  ///< 0: no evaluation yet
  int evaluations_without_gain = 0;
  bool evaluation_due = false;     ///< cancelled before this step's evaluation, which a resumed run does first
  double seconds = 0.0;            ///< spent in training steps
  long tokens = 0;                 ///< the unit of the run's speed
  std::string optimizer = "adam";  ///< the optimizer of the moments in the checkpoint; save_checkpoint fills it in
  RunIdentity run;                 ///< which run this is
};

void write_position(const std::string& path, const TrainingPosition& position);

/// Throws FileError if the file is missing, malformed or of another format version.
TrainingPosition read_position(const std::string& path);

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/trainer/impl/training_position.hpp"
#endif
