// Numbers and words of a study's report.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "neural_attention/core/counted.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/report/svg.hpp"
#include "projector_study/results.hpp"
#include "results_report/report.hpp"

namespace examples {

namespace report_document_detail {

inline std::string places(double number, int digits) {
  if (std::isnan(number)) return "–";  // not measured
  return std::isfinite(number) ? na::report::fixed_text(number, digits) : na::number_text(number);
}
/// With a sign.
inline std::string change(double number, int digits) { return (number > 0 ? "+" : "") + places(number, digits); }
inline std::string p_text(double p) { return p < 0.0001 ? "< 0.0001" : places(p, 4); }

inline int digits_of(study::Measure measure) { return measure == study::Measure::Loss ? 4 : 2; }

inline std::string measured_title(const study::StudyConfig& config) {
  const std::string set = config.test.given() ? "test " : "validation ";
  switch (config.measure) {
    case study::Measure::Loss:
      return set + "loss (nats a token)";
    case study::Measure::Perplexity:
      return set + "perplexity";
    case study::Measure::Bleu:
      return set + "BLEU";
    case study::Measure::Chrf:
      break;
  }
  return set + "chrF";
}

inline std::string setting_text(const study::StudyConfig& config, std::size_t setting) {
  const auto settings = study::settings_of(config.grid);
  std::string text;
  for (const auto& [flag, value] : settings.at(setting)) text += (text.empty() ? "" : ", ") + flag + " " + value;
  return text;
}

/// "at equal steps"
inline std::string matching_words(study::Matching matching) {
  return matching == study::Matching::Flops ? "FLOPs a token" : std::string(na::name_of(matching));
}

inline std::vector<double> values_of(const ArmResult& arm, auto&& value) {
  std::vector<double> values;
  for (const auto& one : arm.seeds)
    if (!one.diverged) values.push_back(value(one));
  return values;
}

inline double mean_of(const std::vector<double>& values) {
  return values.empty() ? not_measured : spread_of(values).mean;
}

/// Of all steps of a run: three times the forward pass, for the tokens that the program counts.
inline double training_flops(const ArmResult& arm, const Run& run) {
  return 3.0 * static_cast<double>(arm.arm.size.flops) * run.tokens_per_second * run.seconds;
}

/// What the report is called.
inline std::string heading_of(const std::string& name, const study::StudyConfig& config) {
  return config.title.empty() ? "Study " + name + ": " + config.task : config.title;
}

inline std::string interval_text(const study::PairedComparison& pairs, int digits) {
  return change(pairs.lower, digits) + " to " + change(pairs.upper, digits);
}

/// "+0.12 %", what matching left.
inline std::string unmatched_text(const study::PlannedComparison& comparison) {
  if (std::isnan(comparison.unmatched)) return "–";
  return change(100 * comparison.unmatched, 2) + " %";
}

inline std::string partial_text(const StudyResults& results) {
  return "Partial: " + missing_text(results.missing) + ".";
}

/// Whether the runs are long enough, as twice the steps say.
inline std::string convergence_text(const StudyResults& results) {
  const auto& control = results.plan.study.control;
  if (!results.plan.study.convergence) return "Whether the runs are long enough has not been tried.";
  const auto& hopeless = results.runs.hopeless;
  if (std::find(hopeless.begin(), hopeless.end(), control) != hopeless.end())
    return "Whether the runs are long enough could not be tried: " + control + " diverged with every setting.";
  if (!results.convergence) return "The run with twice the steps has not ended yet.";
  const auto& found = *results.convergence;
  if (!std::isfinite(found.gain()))
    return "Whether the runs are long enough is not known: a run of " + control + " with the first seed diverged.";
  return std::string(found.converged() ? "Converged" : "Not converged") + ": with the first seed, " + control +
         " has a validation loss of " + places(found.once, 4) + " after " + na::counted(found.steps, "step") +
         " and of " + places(found.twice, 4) + " after a run of twice as many, a gain of " +
         places(100 * found.gain(), 2) +
         " %. Below 1 %, runs count as converged; otherwise the verdicts speak of models that are still learning.";
}

/// Arms whose best setting is the smallest or largest that was tried.
inline std::vector<std::string> edge_warnings(const StudyResults& results) {
  std::vector<std::string> warnings;
  for (const auto& arm : results.arms)
    if (arm.chosen)
      for (const auto& flag : arm.chosen->at_edge)
        warnings.push_back(arm.arm.name + ": the best " + flag +
                           " stands at the edge of the grid; a wider grid may have a better one");
  return warnings;
}

inline constexpr char on_undecided[] = "undecided: neither; it does not mean that the arms are equal";
inline constexpr char on_unmatched[] = "arm has more: the difference that matching left";

}  // namespace report_document_detail

}  // namespace examples
