// The flags of a training program.
#pragma once

#include <map>
#include <string>

#include "neural_attention/core/language.hpp"

namespace neural_attention::study {

/// Flags of a training program, by name without dashes, with their values as on the command line.
using FlagSet = std::map<std::string, std::string>;

}  // namespace neural_attention::study
