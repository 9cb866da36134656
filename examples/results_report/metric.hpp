// The metrics of runs besides the loss: BLEU for translations, perplexity for masked language models.
#pragma once

namespace examples {

/// The names of the numbers in the rows and the report of one kind of run.
struct Metric {
  const char* key;        ///< valid_<key> in evaluations and the final row, <key> in tests and in the names of charts
  const char* title;      ///< in the report
  const char* speed_key;  ///< in the final row
  const char* speed;      ///< in the report
};

inline constexpr Metric known_metrics[] = {{"bleu", "BLEU", "target_tokens_per_second", "target tokens/s"},
                                           {"perplexity", "perplexity", "tokens_per_second", "tokens/s"}};

}  // namespace examples
