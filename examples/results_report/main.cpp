// results_report: tables and curves for the documentation from the metrics of training runs.
#include <string>

#include "common/command_line.hpp"
#include "common/flags.hpp"
#include "results_report/report.hpp"

namespace {

struct Options : examples::Flags {
  const std::string& runs = flag("runs", "docs/results/runs", "Folder of the experiments");
  const std::string& output = flag("output", "docs/results/recipes.md", "The Markdown file to write");
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Writes a report of training runs: RUNS/<experiment>/<arm>-seed<N>/metrics.jsonl and the prose of "
      "RUNS/<experiment>/about.md and RUNS/about.md become a Markdown file with tables and, in the folder of the same "
      "name, curves.",
      "results_report");
  const Options options;
  options.add_to(app);
  return examples::run_program(app, argc, argv, [&] {
    const auto& runs = options.runs;
    const auto& output = options.output;
    const auto report = examples::write_report(runs, output, examples::report_command(runs, output));
    examples::print(output + " and " + std::to_string(report.charts.size()) + " curves\n");
    return 0;
  });
}
