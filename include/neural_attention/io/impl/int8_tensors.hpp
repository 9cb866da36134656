// Definitions of what io/int8_tensors.hpp declares.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/io/int8_tensors.hpp"

namespace neural_attention::io::detail {

NEURAL_ATTENTION_INLINE void check_int8(const TensorFiles& files, const std::string& name,
                                        std::span<const std::int8_t> integers, std::span<const float> scales) {
  const auto refuse = [&](const std::string& why) { throw FileError(files.file_of(name).path().string(), why); };
  for (std::size_t r = 0; r < scales.size(); ++r)
    if (!(scales[r] > 0.0f && std::isfinite(scales[r])))
      refuse("scale " + std::to_string(r) + " of " + told(scale_of(name)) + " is " + number_text(scales[r]) +
             ", and scales must be positive and finite");
  if (std::ranges::find(integers, std::int8_t{-128}) != integers.end())
    refuse("the tensor " + told(name) + " has the integer -128, and int8 weights lie in -127 to 127");
}

}  // namespace neural_attention::io::detail
