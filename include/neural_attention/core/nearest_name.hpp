// Which name somebody may have meant who wrote one that does not exist: a slip of the keys, a beginning, or a name of
// other programs that shares its words, such as train_batch_size for per_device_train_batch_size or lr for
// learning_rate. Where nothing is near, nothing is said.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "neural_attention/core/compiled.hpp"

namespace neural_attention {

/// How far the known `name` is from what was written: words joined by _. 1: too far to be meant.
double name_distance(std::string_view written, std::string_view name);

/// The one of `known` that is nearest to what was written, or "".
std::string_view nearest_name(std::string_view written, std::span<const std::string_view> known);

/// For messages: `"neurall" (did you mean "neural"?)`, or the quoted name alone.
std::string quoted_with_nearest(std::string_view written, std::span<const std::string_view> known);

}  // namespace neural_attention

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/core/impl/nearest_name.hpp"
#endif
