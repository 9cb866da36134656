// OnIds: who hears of the ids of a long text while it is encoded, to write them down or to show the progress.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "neural_attention/core/language.hpp"

namespace neural_attention::text {

/// `ids` are the new ones, in order; `bytes` of the text are done, in the last call all of them.
using OnIds = std::function<void(std::span<const int> ids, std::size_t bytes)>;

/// About how many ids one call brings.
inline constexpr std::size_t ids_at_once = std::size_t{1} << 16;

}  // namespace neural_attention::text
