// With which code a program ends that fails. Other programs rely on them: projector_study takes a training run that
// ends with `diverged` for a result.
#pragma once

namespace examples::exit_codes {

inline constexpr int failed = 1;    ///< any other error
inline constexpr int misused = 2;   ///< the command line, or settings that do not fit together
inline constexpr int diverged = 3;  ///< a loss, a gradient or a result of the model is not finite

}  // namespace examples::exit_codes
