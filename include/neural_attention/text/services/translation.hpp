// The results of a Translator for a line: texts with their scores and tokens, and what was read.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "neural_attention/core/language.hpp"

namespace neural_attention::text {

/// The result of one line. A line without any text has one empty candidate.
struct Translation {
  struct Candidate {
    std::string text;
    double score = 0.0;  ///< of a beam search: Σ log p / n^length_penalty; n counts the end, not the start token
    std::vector<int> ids = {};  ///< without start and end
    int end = -1;               ///< the token that ended it; -1: none did, as at the length limit

    /// The tokens that the model produced: `ids` and the end, if there is one.
    std::vector<int> produced() const {
      auto tokens = ids;
      if (end >= 0) tokens.push_back(end);
      return tokens;
    }
  };

  std::vector<Candidate> candidates;  ///< the best first; at least one
  std::vector<int> source_ids = {};   ///< what the model read, </s> last
  int source_tokens = 0;              ///< of the line, before it was cut
  bool truncated = false;             ///< the line has more tokens than the model could read

  const std::string& text() const { return candidates.front().text; }
};

/// The progress of a request, after each of its batches.
struct TranslationProgress {
  std::size_t lines = 0;   ///< done, with those that needed no work
  std::size_t tokens = 0;  ///< of their best candidates
};

}  // namespace neural_attention::text
