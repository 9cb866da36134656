// The words of a comparison, by rules that are set before the runs: "better" and "worse" need a corrected p below 0.05,
// "no difference larger than δ" needs the 95 % interval of the difference inside ±δ, and all else is "undecided".
#pragma once

#include <string>

#include "neural_attention/study/paired_comparison.hpp"

namespace neural_attention::study {

/// Which scores are good ones.
enum class Better { Lower, Higher };

struct Verdict {
  enum class Word { Better, Worse, NoLarger, Undecided };
  Word word = Word::Undecided;
  /// The interval lies inside ±δ: also a difference that is certain may be too small to matter.
  bool within_delta = false;
  double delta = 0;

  /// "better", "better, by less than 0.02", "no difference larger than 0.02", "undecided".
  std::string text() const;
};

/// `corrected_p` is the p of the comparison's t test after holm(); δ = 0 never calls a difference small. Throws
/// ConfigError for a δ that is negative or not finite, or a p outside [0, 1].
Verdict judge(const PairedComparison& comparison, double corrected_p, double delta, Better better);

}  // namespace neural_attention::study

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/study/impl/verdict.hpp"
#endif
