// results_report: tables and curves for the documentation from the metrics of training runs.
#include <string>

#include "common/command_line.hpp"
#include "results_report/report.hpp"

int main(int argc, char** argv) {
  CLI::App app(
      "Writes a report of training runs: RUNS/<experiment>/<arm>-seed<N>/metrics.jsonl and RUNS/<experiment>/about.md "
      "become a Markdown file with tables and, in the folder of the same name, curves.",
      "results_report");
  std::string runs = "docs/results/runs", output = "docs/results.md";
  app.add_option("--runs", runs, "Folder of the experiments")->capture_default_str();
  app.add_option("--output", output, "The Markdown file to write")->capture_default_str();
  return examples::run_program(app, argc, argv, [&] {
    const auto report = examples::write_report(runs, output, examples::report_command(runs, output));
    examples::print(output + " and " + std::to_string(report.charts.size()) + " curves\n");
    return 0;
  });
}
