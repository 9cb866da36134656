// The flags of `projector_study`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "common/flags.hpp"
#include "common/ranges.hpp"

namespace examples {

/// The file of a study, before or after the flags.
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
  const std::string& data =
      flag("data", "",
           "Its folder of text, as --data of that program; for translators from .de to .en or as "
           "--flags source_lang=fr,target_lang=en says, or \"grammar\", the sentences of the demo",
           {.required = true});
  const std::string& arms =
      flag("arms", "linear,neural",
           "Projectors as in --projector, separated by commas, the control first; nonlinear_query and "
           "identity change the query alone, paper::marian and paper::roberta the roles that the paper changes");
  const std::string& flags = flag(
      "flags", "", "Flags of all arms as NAME=VALUE, separated by commas, instead of the usual ones or beside them");
  const std::string& tune =
      flag("tune", "learning_rate=0.0005/0.001/0.002",
           "What is tuned, as NAME=VALUE/VALUE/…, separated by commas; an empty text tunes nothing");
  const int& seeds = flag("seeds", 5, "How many seeds count", {.range = from_to(2, 20)});
  const std::string& test = flag("test", "test", "The name of the test text in --data, without its ending and .gz");
  const double& held_out =
      flag("held_out", 0.05,
           "The part of the training text that is cut off from its end to tune on, if --data has no test text; the "
           "validation text is then the test. 0: the validation text does both",
           {.range = from_to(0, 0.5)});
  const std::string& output = flag("output", "study.json", "The file to write");
};

struct PlanOptions : StudyFile {
  const std::string& format =
      flag("format", "text", "text: arms, runs and time; commands: a command for each run; slurm: a job array",
           {.among = {"text", "commands", "slurm"}});
};

struct RunOptions : StudyFile {
  const int& jobs =
      flag("jobs", 1, "Runs at a time, of one thread each or as the launcher says", {.range = from_to(1, 1024)});
  const bool& rebuilt_program =
      flag("rebuilt_program", false,
           "The training program is another file than the plan's, but was built from the same sources, such as for "
           "another machine; run.json and the report name both");
  const std::string& only = flag("only", "", "The name of one run, as `plan --format commands` shows it");
};

struct ReportOptions : StudyFile {
  using StudyFile::StudyFile;
  const bool& partial = flag("partial", false, "Report what there is; arms with runs that are missing get no verdict");
};

int init(const InitOptions& options);
int plan(const PlanOptions& options);
int run(const RunOptions& options);
int report(const ReportOptions& options);

}  // namespace examples
