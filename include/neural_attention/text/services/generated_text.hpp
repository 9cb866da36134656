// The results of a TextGenerator for a prompt: texts, why they ended, and the pieces that they come in.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/language.hpp"

namespace neural_attention::text {

/// Why a text ended.
enum class TextEnd {
  Length,      ///< the limit of the settings or of the model, or the settings rule out all tokens
  EndToken,    ///< an end token came
  StopString,  ///< a stop string came
  Cancelled    ///< the caller did not want more
};

struct GeneratedText {
  std::string text;      ///< after the prompt, without a stop string; UTF-8
  double score = 0.0;    ///< of a beam search: Σ log p / n^length_penalty; n counts the end token, not the prompt
  std::vector<int> ids;  ///< without the end token; the ids of a stop string are there
  TextEnd end = TextEnd::Length;
};

/// The results of one prompt.
struct Continuation {
  std::vector<GeneratedText> candidates;  ///< of beams the best first, samples as they were drawn; at least one
  std::vector<int> prompt_ids;            ///< what the model read

  const std::string& text() const { return candidates.front().text; }
};

/// A stretch of a text that grows.
struct TextPiece {
  std::size_t prompt;     ///< which of the request
  std::size_t candidate;  ///< of the prompt
  std::string_view text;  ///< whole characters; valid during the call
};

}  // namespace neural_attention::text
