// The flags of `projector_study`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "common/flags.hpp"
#include "common/ranges.hpp"

namespace examples {

/// The file of a study, in front of the flags or behind them.
struct StudyFile : Flags {
  using Flags::Flags;
  std::string study = "study.json";

  void add_to(CLI::App& app) {
    app.add_option("study", study, "The file of the study; its folder has the same name without .json")
        ->capture_default_str();
    Flags::add_to(app);
  }
};

struct InitOptions : Flags {
  const std::string& task =
      flag("task", "", "The training program", {.among = {"translation", "masked_lm", "causal_lm"}, .required = true});
  const std::string& data = flag("data", "", "Its folder of text, as --data of that program", {.required = true});
  const std::string& arms =
      flag("arms", "linear,neural",
           "Projectors as in --projector, separated by commas, the control first; nonlinear_query and "
           "identity change the query alone, paper::marian and paper::roberta are neural");
  const std::string& output = flag("output", "study.json", "The file to write");
};

struct PlanOptions : StudyFile {
  const std::string& format =
      flag("format", "text", "text: arms, runs and time; commands: a command for each run; slurm: a job array",
           {.among = {"text", "commands", "slurm"}});
};

struct RunOptions : StudyFile {
  const int& jobs = flag("jobs", 1, "Runs at a time, of one thread each", {.range = from_to(1, 1024)});
  const std::string& only = flag("only", "", "The name of one run, as `plan --format commands` shows it");
};

struct ReportOptions : StudyFile {};

int init(const InitOptions& options);
int plan(const PlanOptions& options);
int run(const RunOptions& options);
int report(const ReportOptions& options);

}  // namespace examples
