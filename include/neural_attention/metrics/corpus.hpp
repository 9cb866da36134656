// Shared by all metrics: a corpus is hypotheses and one or more streams of references, segment by segment.
#pragma once

#include <charconv>
#include <cstddef>
#include <string>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"

namespace neural_attention::metrics::detail {

/// `digits` decimals, rounded from the exact binary value as Python does, with a point in every locale.
inline std::string fixed(double value, int digits) { return number_text(value, std::chars_format::fixed, digits); }

/// `references` has one entry per stream; `metric` is for the messages. Throws ConfigError without a stream or a
/// segment, ShapeError if a stream has another number of segments than the hypotheses.
template <class Streams>
void check_corpus(const std::string& metric, std::size_t hypotheses, const Streams& references) {
  if (references.empty()) throw ConfigError(metric + " needs at least one reference stream, got 0");
  for (std::size_t stream = 0; stream < references.size(); ++stream) {
    if (references[stream].size() != hypotheses) {
      throw ShapeError(metric + " needs one reference for each hypothesis, got " + std::to_string(hypotheses) +
                       " hypotheses and " + std::to_string(references[stream].size()) + " references" +
                       (references.size() > 1 ? " in stream " + std::to_string(stream + 1) : std::string()));
    }
  }
  if (hypotheses == 0)
    throw ConfigError(metric + " of an empty corpus is undefined: got 0 hypotheses and 0 references");
}

}  // namespace neural_attention::metrics::detail
