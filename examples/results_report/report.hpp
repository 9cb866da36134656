// From runs to a report: tables in Markdown and curves as SVG. The output depends only on the runs.
// Several seeds: mean ± sample standard deviation (smallest to largest); in the curves the mean and a band from
// smallest to largest, over the part of the axis that all seeds reach.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/output_file.hpp"
#include "common/table.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/report/svg_chart.hpp"
#include "results_report/runs.hpp"

namespace examples {

struct Spread {
  double mean, deviation, smallest, largest;
};

/// `deviation` is the sample deviation (n - 1), 0 for one value. Throws ConfigError if there are no values.
inline Spread spread_of(const std::vector<double>& values) {
  if (values.empty()) throw na::ConfigError("a mean needs at least one value");
  Spread spread{0.0, 0.0, values.front(), values.front()};
  for (const double value : values) {
    spread.mean += value;
    spread.smallest = std::min(spread.smallest, value);
    spread.largest = std::max(spread.largest, value);
  }
  spread.mean /= static_cast<double>(values.size());
  for (const double value : values) spread.deviation += (value - spread.mean) * (value - spread.mean);
  if (values.size() > 1) spread.deviation = std::sqrt(spread.deviation / static_cast<double>(values.size() - 1));
  return spread;
}

/// Piecewise linear through points of ascending x; `x` must lie between the first and the last.
inline double interpolate(const std::vector<na::report::Point>& points, double x) {
  const auto after = std::find_if(points.begin(), points.end(), [&](const auto& point) { return point.x >= x; });
  if (after == points.begin() || after->x == x) return after->y;
  const auto before = after - 1;
  return before->y + (after->y - before->y) * (x - before->x) / (after->x - before->x);
}

/// The mean of several curves with their band, at each x of any curve that all curves reach.
inline na::report::Series mean_curve(const std::string& name,
                                     const std::vector<std::vector<na::report::Point>>& curves) {
  na::report::Series series{name, {}};
  std::vector<double> places;
  double first = -std::numeric_limits<double>::infinity(), last = -first;
  for (const auto& curve : curves) {
    if (curve.empty()) return series;
    first = std::max(first, curve.front().x);
    last = std::min(last, curve.back().x);
    for (const auto& point : curve) places.push_back(point.x);
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  for (const double x : places) {
    if (x < first || x > last) continue;
    std::vector<double> values;
    for (const auto& curve : curves) values.push_back(interpolate(curve, x));
    const auto spread = spread_of(values);
    series.points.push_back({x, spread.mean});
    if (curves.size() < 2) continue;
    series.low.push_back(spread.smallest);
    series.high.push_back(spread.largest);
  }
  return series;
}

namespace report_detail {

/// 12345.6 with 0 places -> "12,346".
inline std::string number(double value, int places) {
  if (!std::isfinite(value)) return "–";
  return places > 0 ? na::report::fixed_text(value, places) : with_commas(std::llround(value));
}

inline std::string summary(const std::vector<double>& values, int places) {
  const auto spread = spread_of(values);
  if (values.size() < 2 || !std::isfinite(spread.mean)) return number(spread.mean, places);
  if (spread.smallest == spread.largest) return number(spread.smallest, places);
  return number(spread.mean, places) + " ± " + number(spread.deviation, places) + " (" +
         number(spread.smallest, places) + " – " + number(spread.largest, places) + ")";
}

inline std::string row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const auto& cell : cells) line += " " + cell + " |";
  return line + "\n";
}

/// Optional columns of the tables of an experiment.
struct TableColumns {
  const Metric& metric;
  std::vector<std::string> sets;
  bool start = false;  ///< the loss before the first step
};

/// A row for some runs of one arm.
inline std::string arm_row(const std::string& arm, const std::vector<Run>& runs, const TableColumns& columns) {
  const auto column = [&](int places, auto&& value) {
    std::vector<double> values;
    for (const auto& run : runs) values.push_back(value(run));
    return summary(values, places);
  };
  std::string seeds;
  for (const auto& run : runs) seeds += (seeds.empty() ? "" : ", ") + std::to_string(run.seed);
  std::vector<std::string> cells = {arm,
                                    seeds,
                                    with_commas(runs.front().parameters),
                                    column(0, [](const Run& run) { return static_cast<double>(run.steps); }),
                                    column(1, [](const Run& run) { return run.seconds / 60.0; }),
                                    column(0, [](const Run& run) { return run.tokens_per_second; }),
                                    column(3, [](const Run& run) { return run.valid_loss; }),
                                    column(2, [](const Run& run) { return run.valid_score; })};
  if (columns.start) cells.insert(cells.begin() + 6, column(4, loss_at_start));
  for (const auto& set : columns.sets)
    cells.push_back(column(2, [&](const Run& run) {
      const auto* const score = run.test(set);
      return score ? score->value : not_measured;
    }));
  return row(cells);
}

inline std::string table_head(const TableColumns& columns) {
  const std::string metric = columns.metric.title;
  std::vector<std::string> head = {
      "arm", "seed", "parameters", "steps", "minutes", columns.metric.speed, "valid loss", "valid " + metric};
  if (columns.start) head.insert(head.begin() + 6, "valid loss at step 0");
  for (const auto& set : columns.sets) head.push_back(set + " " + metric);
  std::vector<std::string> rule(head.size(), "---:");
  rule[0] = rule[1] = "---";
  return row(head) + row(rule);
}

/// The signatures of the test scores, each once.
inline std::string signatures(const Experiment& experiment) {
  std::vector<std::string> known;
  for (const auto& arm : experiment.arms)
    for (const auto& run : arm.runs)
      for (const auto& score : run.tests)
        if (!score.signature.empty() && std::find(known.begin(), known.end(), score.signature) == known.end())
          known.push_back(score.signature);
  std::string text;
  for (const auto& signature : known)
    text += (text.empty() ? experiment.metric().title + std::string(" signature: `") : ", `") + signature + "`";
  return text.empty() ? "" : text + "\n\n";
}

}  // namespace report_detail

/// A file next to the report.
struct Chart {
  std::string name, svg, title;
};

/// Charts of validation loss and metric over steps and over minutes, without charts that have no point.
inline std::vector<Chart> charts_of(const Experiment& experiment) {
  struct Axis {
    const char *ending, *label;
    double (*of)(const Evaluation&);
  };
  struct Measure {
    const char *key, *title, *label;
    double (*of)(const Evaluation&);
  };
  const Axis across[] = {{"", "optimizer step", [](const Evaluation& e) { return e.step; }},
                         {"-time", "minutes of training", [](const Evaluation& e) { return e.seconds / 60.0; }}};
  const auto& metric = experiment.metric();
  const Measure upright[] = {{"loss", "loss", "nats per token", [](const Evaluation& e) { return e.loss; }},
                             {metric.key, metric.title, metric.title, [](const Evaluation& e) { return e.score; }}};
  std::vector<Chart> charts;
  for (const auto& y : upright)
    for (const auto& x : across) {
      std::vector<na::report::Series> series;
      bool empty = true;
      for (const auto& arm : experiment.arms) {
        std::vector<std::vector<na::report::Point>> curves;
        for (const auto& run : arm.runs) {
          auto& curve = curves.emplace_back();
          for (const auto& evaluation : run.evaluations)
            if (std::isfinite(y.of(evaluation))) curve.push_back({x.of(evaluation), y.of(evaluation)});
        }
        series.push_back(mean_curve(arm.name, curves));
        empty = empty && series.back().points.empty();
      }
      if (empty) continue;
      na::report::ChartOptions options;
      const auto what = std::string("validation ") + y.title;
      options.title = experiment.name + ": " + what;
      options.x_label = x.label;
      options.y_label = y.label;
      options.legend = true;
      charts.push_back({experiment.name + "-" + y.key + x.ending + ".svg", na::report::line_chart(options, series),
                        what + " over " + x.label});
    }
  return charts;
}

/// The text of an about.md. A heading in its first line is the title, which is `usual` without it.
struct Prose {
  Prose(const std::string& about, const std::string& usual) : title(usual), text(about) {
    if (text.starts_with("# ")) {
      const auto end = std::min(text.find('\n'), text.size());
      title = text.substr(2, end - 2);
      text.erase(0, end);
    }
    text.erase(0, std::min(text.find_first_not_of("\r\n"), text.size()));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (!text.empty()) text += "\n\n";
  }

  std::string title;
  std::string text;  ///< empty, or with an empty line at its end
};

/// The section of one experiment; `folder` is the folder of its charts, relative to the report.
inline std::string section(const Experiment& experiment, const std::vector<Chart>& charts, const std::string& folder) {
  using namespace report_detail;
  const Prose prose(experiment.about, experiment.name);
  std::string text = "## " + prose.title + "\n\n" + prose.text;
  const TableColumns columns{experiment.metric(), experiment.test_sets(), experiment.evaluated_at_start()};
  text += table_head(columns);
  bool several = false;
  for (const auto& arm : experiment.arms) {
    text += arm_row(arm.name, arm.runs, columns);
    several = several || arm.runs.size() > 1;
  }
  text += "\n" + signatures(experiment);
  if (several) {
    text += "Each run:\n\n" + table_head(columns);
    for (const auto& arm : experiment.arms)
      for (const auto& run : arm.runs) text += arm_row(arm.name, {run}, columns);
    text += "\n";
  }
  for (const auto& chart : charts) text += "![" + chart.title + "](" + folder + "/" + chart.name + ")\n";
  return text + (charts.empty() ? "" : "\n");
}

/// The whole report and its charts.
struct Report {
  std::string markdown;
  std::vector<Chart> charts;
};

/// `command` is the command in the head of the report, `about` the text on all experiments.
inline Report make_report(const std::vector<Experiment>& experiments, const std::string& chart_folder,
                          const std::string& command, const std::string& about = {}) {
  const Prose prose(about, "Results");
  Report report;
  report.markdown = "# " + prose.title + "\n\nGenerated by `" + command +
                    "` from the metrics of the runs; do not edit.\n\n" + prose.text +
                    "- **minutes**, **target tokens/s** and **tokens/s** (masked language models: all tokens, not only "
                    "the masked ones) count the training steps alone, not evaluation and saving.\n"
                    "- **valid loss** (nats per target token, or per masked token, without label smoothing) and "
                    "**valid BLEU** or **valid perplexity** belong to the model that the run saved: its best "
                    "evaluation.\n"
                    "- Several seeds: mean ± sample standard deviation (smallest – largest). In the curves the line is "
                    "the mean and the band goes from the smallest to the largest, as far as all seeds reach.\n\n";
  for (const auto& experiment : experiments) {
    auto charts = charts_of(experiment);
    report.markdown += section(experiment, charts, chart_folder);
    std::move(charts.begin(), charts.end(), std::back_inserter(report.charts));
  }
  report.markdown.pop_back();  // sections end with an empty line
  return report;
}

/// The command in the head of a report.
inline std::string report_command(const std::string& runs, const std::string& output) {
  return "results_report --runs " + runs + " --output " + output;
}

/// Writes `output` (a Markdown file) and its charts into the folder of the same name without the ending. Throws
/// FileError.
inline Report write_report(const std::filesystem::path& runs, const std::filesystem::path& output,
                           const std::string& command) {
  if (output.extension() != ".md") throw na::ConfigError("the report is Markdown: " + output.string() + " needs .md");
  const auto folder = output.parent_path() / output.stem();
  auto report = make_report(read_experiments(runs), output.stem().string(), command, read_about(runs));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw na::FileError(folder.string(), "cannot be created: " + error.message());
  for (const auto& chart : report.charts) na::io::write_file_atomically(folder / chart.name, chart.svg);
  write_output(output.string(), report.markdown);
  return report;
}

}  // namespace examples
