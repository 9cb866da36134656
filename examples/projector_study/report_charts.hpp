// The charts of a study's report: quality against cost, and learning curves.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "neural_attention/report/dot_chart.hpp"
#include "neural_attention/report/svg_chart.hpp"
#include "projector_study/document.hpp"
#include "projector_study/report_texts.hpp"
#include "projector_study/results.hpp"
#include "results_report/report.hpp"

namespace examples {

namespace report_document_detail {

/// The scores of each arm; none if there are no scores yet.
inline std::optional<Picture> seeds_picture(const StudyResults& results) {
  na::report::ChartOptions options;
  options.title = "Each seed";
  options.x_label = measured_title(results.plan.study);
  std::vector<na::report::DotRow> rows;
  bool any = false;
  for (const auto& arm : results.arms) {
    rows.push_back({arm.arm.name, arm.scores()});
    any = any || !rows.back().values.empty();
  }
  if (!any) return {};
  return Picture{"charts/seeds.svg", options.title, na::report::strip_chart(options, rows)};
}

inline void add_pareto(const StudyResults& results, Document& document) {
  const auto& config = results.plan.study;
  const auto draw = [&](const std::string& path, const std::string& label, auto&& cost) {
    std::vector<na::report::NamedDot> dots;
    for (const auto& arm : results.arms) {
      const auto scores = arm.scores();
      if (scores.empty()) continue;
      const auto spread = spread_of(scores);
      dots.push_back({arm.arm.name, mean_of(values_of(arm, [&](const auto& one) { return cost(arm, one); })),
                      spread.mean, spread.smallest, spread.largest});
    }
    if (dots.empty()) return;
    na::report::ChartOptions options;
    options.title = "Quality against " + label;
    options.x_label = label;
    options.y_label = measured_title(config);
    document.push_back(Picture{path, options.title, na::report::scatter_chart(options, dots)});
  };
  document.push_back(Heading{2, "Quality and cost"});
  document.push_back(Paragraph{"A dot is the mean of an arm; its line goes from the smallest to the largest seed."});
  draw("charts/parameters.svg", "parameters",
       [](const ArmResult& arm, const SeedResult&) { return static_cast<double>(arm.arm.size.parameters); });
  draw("charts/minutes.svg", "minutes of training",
       [](const ArmResult&, const SeedResult& one) { return one.metrics.seconds / 60; });
}

/// The validation loss of each arm over what `place` finds of an evaluation; none if there are no losses yet.
inline std::optional<Picture> loss_picture(const StudyResults& results, const std::string& path,
                                           const std::string& label, auto&& place) {
  std::vector<na::report::Series> series;
  bool any = false;
  for (const auto& arm : results.arms) {
    std::vector<std::vector<na::report::Point>> curves;
    for (const auto& one : arm.seeds) {
      if (one.diverged) continue;
      auto& curve = curves.emplace_back();
      for (const auto& evaluation : one.metrics.evaluations)
        if (std::isfinite(evaluation.loss)) curve.push_back({place(arm, one.metrics, evaluation), evaluation.loss});
    }
    series.push_back(mean_curve(arm.arm.name, curves));
    any = any || !series.back().points.empty();
  }
  if (!any) return {};
  na::report::ChartOptions options;
  options.title = "Validation loss over " + label;
  options.x_label = label;
  options.y_label = "nats a token";
  options.legend = true;
  options.end_labels = false;
  return Picture{path, options.title, na::report::line_chart(options, series)};
}

inline std::optional<Picture> loss_over_steps(const StudyResults& results) {
  return loss_picture(results, "charts/loss-steps.svg", "steps",
                      [](const ArmResult&, const Run&, const Evaluation& at) { return at.step; });
}

inline void add_curves(const StudyResults& results, Document& document) {
  document.push_back(Heading{2, "Learning curves"});
  document.push_back(
      Paragraph{"Validation loss in nats a token: the mean over seeds, and a band from the smallest to the largest. "
                "FLOPs are three times those of the forward pass of the tokens read."});
  for (auto& picture : {loss_over_steps(results),
                        loss_picture(results, "charts/loss-minutes.svg", "minutes of training",
                                     [](const ArmResult&, const Run&, const Evaluation&at) { return at.seconds / 60; }),
                        loss_picture(results, "charts/loss-flops.svg", "FLOPs",
                                     [](const ArmResult&arm, const Run&run, const Evaluation&at) {
                                       return training_flops(arm, run) * at.step /
                                              std::max(1.0, static_cast<double>(run.steps));
                                     })})
    if (picture) document.push_back(*picture);
}

}  // namespace report_document_detail

}  // namespace examples
