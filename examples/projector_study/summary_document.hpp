// From several studies to one page: all verdicts in a table, and a section for each study.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/counted.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/study/tuning.hpp"
#include "projector_study/document.hpp"
#include "projector_study/report_charts.hpp"
#include "projector_study/report_texts.hpp"
#include "projector_study/results.hpp"
#include "projector_study/run_time.hpp"

namespace examples {

/// A study on the page.
struct SummedUp {
  std::string name;
  StudyResults results;
  std::string folder;  ///< of its report, from the folder of the page
};

namespace summary_detail {

using namespace report_document_detail;

inline void add_overview(const std::vector<SummedUp>& studies, Document& document) {
  TextTable table{{"study", "arm", "equal", "judged by", "verdict", "difference", "95 % interval", "p corrected",
                   "arm has more", "time"},
                  {},
                  5};
  for (const auto& study : studies) {
    const auto& config = study.results.plan.study;
    const int digits = digits_of(config.measure);
    for (const auto& one : study.results.comparisons) {
      const auto& planned = one.planned;
      std::vector<std::string> row = {config.title.empty() ? study.name : config.title, planned.arm,
                                      matching_words(planned.matching), measured_title(config), one.words};
      if (one.pairs)
        row.insert(row.end(),
                   {change(one.pairs->difference, digits), interval_text(*one.pairs, digits), p_text(one.corrected_p)});
      else
        row.insert(row.end(), 3, "–");
      const auto seconds = [&](const std::string& name) {
        const auto& of = study.results.arm(name);
        return seconds_of_run(of.flags(config), of.arm);
      };
      const double times = seconds(planned.arm) / seconds(planned.control);
      row.insert(row.end(), {unmatched_text(planned), std::isnan(times) ? "–" : places(times, 2) + " ×"});
      table.rows.push_back(std::move(row));
    }
  }
  document.push_back(std::move(table));
  document.push_back(BulletList{
      {"difference: arm minus control, the mean over pairs of runs with one seed; of loss and perplexity lower is "
       "better, of BLEU and chrF higher",
       "better, worse: the paired t test's p, corrected by Holm over the arms that a study compares with the same "
       "thing equal, is below 0.05",
       "no difference larger than δ: the 95 % interval lies inside ±δ, which study.json set before the runs",
       on_undecided, on_unmatched,
       "time: of a run of the arm, as a multiple of its control's, as the plan of the study measured them"}});
}

/// "causal_lm, 2,000 steps, 5 seeds, 3 settings tried for each arm, 38 runs"
inline std::string facts_text(const StudyResults& results) {
  const auto& config = results.plan.study;
  std::string text = config.task;
  const auto& control = results.arm(config.control);
  const bool known = control.chosen || !config.grid.contains("max_steps");
  if (const auto steps = study::steps_in(control.flags(config)); steps && known)
    text += ", " + na::counted(*steps, "step");
  text += ", " + na::counted(config.seeds.size(), "seed");
  text += config.grid.empty()
              ? std::string(", nothing tuned")
              : ", " + na::counted(study::settings_of(config.grid).size(), "setting") + " tried for each arm";
  return text + ", " + na::counted(results.ended_runs().size(), "run");
}

inline void add_study(const SummedUp& study, const std::string& report, Document& document) {
  const auto& [name, results, folder] = study;
  const auto& config = results.plan.study;
  document.push_back(Heading{2, heading_of(name, config)});
  if (!config.about.empty()) document.push_back(Paragraph{config.about});
  document.push_back(
      Paragraph{"Study " + name + ": " + facts_text(results) + ". Machine of the plan: " + results.plan.machine + "."});
  if (results.missing > 0) document.push_back(Paragraph{partial_text(results)});
  document.push_back(Paragraph{convergence_text(results)});
  if (auto warnings = edge_warnings(results); !warnings.empty()) document.push_back(BulletList{std::move(warnings)});
  for (auto picture : {seeds_picture(results), loss_over_steps(results)}) {
    if (!picture) continue;
    picture->path = folder + "/" + picture->path;
    document.push_back(std::move(*picture));
  }
  document.push_back(Link{"The report of the study " + name, folder + "/" + report});
}

}  // namespace summary_detail

/// `command` is what made it; `report` is the name of the reports to which the page leads.
inline Document summary_document(const std::string& title, const std::string& command,
                                 const std::vector<SummedUp>& studies, const std::string& report) {
  Document document = {
      Heading{1, title},
      Paragraph{"Generated from the plans and the metrics of the runs by the following command; do not edit."},
      CodeBlock{command + "\n"}};
  summary_detail::add_overview(studies, document);
  for (const auto& study : studies) summary_detail::add_study(study, report, document);
  return document;
}

}  // namespace examples
