// The version of the library. It is written only here; the build reads it from this file.
#pragma once

#include <string_view>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

inline constexpr int version_major = 0;
inline constexpr int version_minor = 1;
inline constexpr int version_patch = 0;
inline constexpr std::string_view version_string = "0.1.0";

}  // namespace neural_attention
