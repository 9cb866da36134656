// The three commands of `masked_lm`. Each returns the program's exit code and throws on errors.
#pragma once

#include "masked_lm/options.hpp"

namespace examples {

int train(const TrainOptions& options);
int evaluate(const EvaluateOptions& options);
int fill(const FillOptions& options);

}  // namespace examples
