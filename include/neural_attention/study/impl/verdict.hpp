// Definitions of what study/verdict.hpp declares.
#pragma once

#include <cmath>
#include <string>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/study/verdict.hpp"

namespace neural_attention::study {

NEURAL_ATTENTION_INLINE std::string Verdict::text() const {
  switch (word) {
    case Word::NoLarger:
      return "no difference larger than " + number_text(delta);
    case Word::Undecided:
      return "undecided";
    case Word::Better:
    case Word::Worse:
      break;
  }
  return std::string(word == Word::Better ? "better" : "worse") +
         (within_delta ? ", by less than " + number_text(delta) : "");
}

NEURAL_ATTENTION_INLINE Verdict judge(const PairedComparison& comparison, double corrected_p, double delta,
                                      Better better) {
  if (!std::isfinite(delta) || delta < 0)
    throw ConfigError("the smallest difference that matters must be at least 0, not " + number_text(delta));
  if (!(corrected_p >= 0 && corrected_p <= 1))
    throw ConfigError("a p value must lie from 0 to 1, not " + number_text(corrected_p));
  constexpr double level = 0.05;
  Verdict verdict;
  verdict.delta = delta;
  verdict.within_delta = comparison.lower > -delta && comparison.upper < delta;
  if (corrected_p < level)
    verdict.word =
        (comparison.difference < 0) == (better == Better::Lower) ? Verdict::Word::Better : Verdict::Word::Worse;
  else if (verdict.within_delta)
    verdict.word = Verdict::Word::NoLarger;
  return verdict;
}

}  // namespace neural_attention::study
