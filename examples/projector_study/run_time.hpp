// How long a run takes, by what the plan of a study measured.
#pragma once

#include <limits>

#include "neural_attention/study/study_plan.hpp"

namespace examples {

namespace study = neural_attention::study;

/// Seconds of one run with these flags, which takes the time of `arm`, without evaluations; NaN if its steps are not
/// known.
inline double seconds_of_run(const study::FlagSet& flags, const study::PlannedArm& arm) {
  const auto steps = study::steps_in(flags);
  return steps ? static_cast<double>(*steps) * arm.time.step + arm.time.outside
               : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace examples
