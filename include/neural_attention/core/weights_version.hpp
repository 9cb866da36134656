// Which weights are unchanged: for backends that keep copies of them beyond the work at hand.
#pragma once

#include <atomic>
#include <cstdint>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// The values in the memory begin … end, until they change: then they have another number. Two versions of one process
/// with the same number, other than 0, are the same values in the same place.
struct WeightsVersion {
  std::uint64_t number = 0;  ///< 0: nothing is known
  const void* begin = nullptr;
  const void* end = nullptr;
};

/// A number that no version has yet.
inline std::uint64_t next_weights_version() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

}  // namespace neural_attention
