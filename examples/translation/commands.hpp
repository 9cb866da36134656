// The three commands of `translation`. Each returns the program's exit code and throws on errors.
#pragma once

#include "translation/options.hpp"

namespace examples {

int train(const TrainOptions& options);
int evaluate(const EvaluateOptions& options);
int translate(const TranslateOptions& options);

}  // namespace examples
