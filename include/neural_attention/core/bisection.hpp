// Bisection over integers.
#pragma once

#include <cstdint>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// The integer from `below` to `above` at which `count` comes nearest to `wanted`; of two that are equally near, the
/// smaller one. count(i) must not fall as i grows, and count(below) < wanted <= count(above).
std::int64_t nearest_integer(std::int64_t wanted, std::int64_t below, std::int64_t above, auto&& count) {
  while (above - below > 1) {
    const auto middle = below + (above - below) / 2;
    (count(middle) < wanted ? below : above) = middle;
  }
  return wanted - count(below) <= count(above) - wanted ? below : above;
}

}  // namespace neural_attention
