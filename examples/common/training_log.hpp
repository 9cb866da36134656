// The log of a training run: metrics.jsonl and metrics.csv with a row for each logged step and each evaluation, and the
// curves as SVG. A resumed run continues its files. Nothing is written before begin(), so the files of an earlier run
// do not change until then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/charts.hpp"
#include "common/metric_rows.hpp"
#include "neural_attention/io/atomic_file.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/trainer/trainer.hpp"

namespace examples {

namespace na = neural_attention;

/// The names of a run's numbers in its rows.
struct LogNames {
  std::string metric;          ///< besides the loss: valid_<metric>, <metric>.svg
  bool at_evaluations = true;  ///< otherwise only the final row has the metric
  std::string speed = "tokens_per_second";
};

class TrainingLog {
 public:
  /// Will drop an interrupted run's rows of steps after `resumed_step` and, with `evaluates_again`, the evaluation of
  /// that step. Throws FileError if the remaining rows cannot be read.
  TrainingLog(std::string directory, std::string label, LogNames names, long resumed_step, bool evaluates_again = false)
      : directory_(std::move(directory)),
        label_(std::move(label)),
        names_(std::move(names)),
        metric_("valid_" + names_.metric),
        columns_{"step", "epoch", "loss", "learning_rate", "gradient_norm", names_.speed, "valid_loss", "seconds"} {
    if (names_.at_evaluations) columns_.push_back(metric_);
    if (resumed_step > 0) rows_ = read_metric_rows(path("metrics.jsonl"), columns_, resumed_step);
    if (evaluates_again)
      std::erase_if(rows_, [&](const Row& row) { return row["step"] == resumed_step && row.contains("valid_loss"); });
  }

  /// Replaces the files with the rows up to now; further rows follow. A second call does nothing.
  void begin() {
    if (begun_) return;
    rewrite();
    begun_ = true;
  }

  void add(const na::StepEvent& event) {
    const auto& loss = event.result.loss;
    append({{"step", event.step},
            {"epoch", event.epoch},
            {"loss", loss.smoothed / double(loss.tokens)},
            {"learning_rate", event.result.learning_rate},
            {"gradient_norm", event.result.gradient_norm},
            {names_.speed, event.tokens_per_second}});
  }

  /// `metric` is the value for readers, which may differ from the trainer's metric. Returns a sentence about a fault of
  /// the curves, once, or "".
  std::string add(const na::EvaluationEvent& event, double metric, double seconds) {
    nlohmann::ordered_json row = {
        {"step", event.step}, {"epoch", event.epoch}, {"valid_loss", event.loss}, {"seconds", seconds}};
    if (names_.at_evaluations) row[metric_] = metric;
    append(std::move(row));
    return begun_ ? draw_and_tell() : std::string();
  }

  /// Writes the result of the run as the last row, for `results_report`, and draws the curves of all rows. A run that
  /// was not evaluated has no `metric` and no loss. Returns a sentence as add() does.
  std::string finish(const std::string& projector, std::ptrdiff_t parameters, std::uint64_t seed,
                     const na::TrainingSummary& summary, std::optional<double> metric) {
    Row row = {{"final", true},
               {"projector", projector},
               {"parameters", parameters},
               {"seed", seed},
               {"steps", summary.steps}};
    if (metric) {
      row["valid_loss"] = summary.valid_loss;
      row[metric_] = *metric;
    }
    row["seconds"] = summary.seconds;
    row[names_.speed] = summary.tokens_per_second;
    append(std::move(row));
    return draw_and_tell();
  }

 private:
  using Row = MetricRow;

  std::string path(const char* name) const { return directory_ + "/" + name; }

  double number(const Row& row, const std::string& column) const {
    return number_of(row, column, path("metrics.jsonl"));
  }

  std::string text_of(const Row& value) const { return na::io::json_text(value, path("metrics.jsonl")); }

  std::string csv_line(const Row& row) const {
    std::string line;
    for (const auto& column : columns_) {
      if (!line.empty()) line += ',';
      if (row.contains(column)) line += text_of(row[column]);
    }
    std::erase(line, '"');  // around Infinity
    return line + "\n";
  }

  void rewrite() {
    std::string json, csv;
    for (const auto& column : columns_) csv += (csv.empty() ? "" : ",") + column;
    csv += '\n';
    for (const auto& row : rows_) {
      json += text_of(row) + "\n";
      csv += csv_line(row);
    }
    na::io::write_file_atomically(path("metrics.jsonl"), json);
    na::io::write_file_atomically(path("metrics.csv"), csv);
  }

  void append(Row row) {
    if (begun_) {
      write_line("metrics.jsonl", text_of(row) + "\n");
      if (row.contains("step")) write_line("metrics.csv", csv_line(row));
    }
    rows_.push_back(std::move(row));
  }

  void write_line(const char* name, const std::string& line) const {
    std::ofstream file(path(name), std::ios::app);
    file << line << std::flush;
    if (!file) throw na::FileError(path(name), "cannot be written");
  }

  na::report::Series curve(const char* name, const std::string& key) const {
    na::report::Series series{name, {}};
    for (const auto& row : rows_)
      if (row.contains("step") && row.contains(key)) series.points.push_back({number(row, "step"), number(row, key)});
    return series;
  }

  std::string draw_and_tell() {
    const auto fault = draw();
    return std::exchange(told_of_fault_, !fault.empty()) ? std::string() : fault;
  }

  std::string draw() const {
    na::report::ChartOptions options;
    options.x_label = "step";
    options.title = label_ + ": loss";
    options.y_label = "nats per token";
    const auto fault =
        draw_chart(path("loss.svg"), options, {curve("training", "loss"), curve("validation", "valid_loss")});
    if (!names_.at_evaluations) return fault;
    options.title = label_ + ": validation " + names_.metric;
    options.y_label = names_.metric;
    const auto second =
        draw_chart(path((names_.metric + ".svg").c_str()), options, {curve(names_.metric.c_str(), metric_)});
    return fault.empty() ? second : fault;
  }

  std::string directory_, label_;
  LogNames names_;
  std::string metric_;
  std::vector<std::string> columns_;
  std::vector<Row> rows_;
  bool begun_ = false;
  bool told_of_fault_ = false;
};

}  // namespace examples
