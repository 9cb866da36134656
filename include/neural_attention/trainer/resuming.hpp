// Whether a run may go on from a checkpoint: it must be the same run, with the same batches, and all ranks of a group
// must go on from the same place.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/train/group.hpp"
#include "neural_attention/trainer/run_identity.hpp"
#include "neural_attention/trainer/trainer_options.hpp"
#include "neural_attention/trainer/training_position.hpp"

namespace neural_attention {

/// Sequences in the first `batches` batches of the epoch that the data have begun; 0 if the data do not count them, -1
/// if it has fewer batches.
template <TrainingData Data>
long sequences_before(const Data& data, long batches) {
  if (batches > static_cast<long>(data.batches())) return -1;
  if constexpr (requires { data.sequences_before(std::size_t{0}); })
    return static_cast<long>(data.sequences_before(static_cast<std::size_t>(batches)));
  else
    return 0;
}

/// Begins the epoch of `stored`, the position in `checkpoint`. Throws ConfigError if that belongs to another run than
/// `now`: another seed, other options, other data or other batches.
template <TrainingData Data>
void require_same_run(const TrainingPosition& stored, const TrainingPosition& now, Data& training,
                      const std::string& checkpoint) {
  if (stored.seed != now.seed)
    throw ConfigError(checkpoint + " was made with seed " + std::to_string(stored.seed) + ", not " +
                      std::to_string(now.seed) + ": the order of the data would differ");
  require_same_run(stored.run, now.run, checkpoint);
  training.begin_epoch(stored.epoch);
  if (const auto here = sequences_before(training, stored.batch); here != stored.sequences)
    throw ConfigError(checkpoint + " was made with other batches: its " + std::to_string(stored.batch) +
                      " batches of epoch " + std::to_string(stored.epoch) + " hold " +
                      std::to_string(stored.sequences) + " sequences, here " +
                      (here < 0 ? "there are not so many batches" : "they hold " + std::to_string(here)));
}

/// Throws ConfigError on all ranks if one reads another position in `checkpoint` than rank 0: a checkpoint of the same
/// name on another host may be older. Ranks at different steps would wait for each other without end.
template <class G>
void require_same_position(G& group, const TrainingPosition& stored, const std::string& checkpoint) {
  const std::array<std::int64_t, 8> mine = {stored.step,
                                            stored.epoch,
                                            stored.batch,
                                            stored.sequences,
                                            stored.best_step,
                                            std::bit_cast<std::int64_t>(stored.best_metric),
                                            stored.evaluations_without_gain,
                                            stored.evaluation_due};
  if (const int other = first_that_differs(group, mine); other > 0)
    throw ConfigError(checkpoint + " is another checkpoint on " + group.name(other) + " than on " + group.name(0) +
                      ": all ranks must resume from the same one");
}

}  // namespace neural_attention
