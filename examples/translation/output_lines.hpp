// A translation as lines of output: the text alone, or Marian's list of the best.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>

#include "common/one_line.hpp"
#include "neural_attention/decode/beam_search.hpp"
#include "neural_attention/decode/generation_config.hpp"
#include "neural_attention/text/services/translation.hpp"

namespace examples {

namespace na = neural_attention;

/// The lines of line `number`, from 1. Several results have a line each, as Marian writes them: the number from 0, the
/// text, the sum of log-probabilities as Marian's feature F0, and the score.
inline std::string output_lines(const na::text::Translation& translation, const na::GenerationConfig& how,
                                long number) {
  if (how.num_return_sequences == 1) return one_line(translation.text()) + "\n";
  std::string text;
  for (const auto& candidate : translation.candidates) {
    const auto length = static_cast<int>(candidate.produced().size());
    const double sum = candidate.score * na::length_norm(length, how.length_penalty);
    char scores[80];
    std::snprintf(scores, sizeof scores, " ||| F0= %.6g ||| %.6g\n", sum, candidate.score);
    text += std::to_string(number - 1) + " ||| " + one_line(candidate.text) + scores;
  }
  return text;
}

}  // namespace examples
